"""The roll-call: before the process group starts, all processes say who they are and all hear who is missing or wrong.

Rank 0 listens on the master port, or torchrun's store carries the reports. Nothing but the standard library.
"""

from ddplint.runtime.rollcall.agent_store import attend_store
from ddplint.runtime.rollcall.attendance import Attendance
from ddplint.runtime.rollcall.client import attend, knock
from ddplint.runtime.rollcall.job import Job
from ddplint.runtime.rollcall.judgement import judge
from ddplint.runtime.rollcall.server import answer
from ddplint.runtime.rollcall.verdict import Verdict
from ddplint.runtime.rollcall.watch import AtTheDoor, Inside

__all__ = [
    "AtTheDoor",
    "Attendance",
    "Inside",
    "Job",
    "Verdict",
    "answer",
    "attend",
    "attend_store",
    "judge",
    "knock",
]
