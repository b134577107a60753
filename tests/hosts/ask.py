"""Have a simulated machine start a program, and wait for it: ``python ask.py FOLDER MACHINE [--fork] WORD ...``

srun and mpirun start this instead of Python. The program then has their environment, their folder, their standard input
and output, and is killed when they kill this. For mpirun it is also what ssh would be: MACHINE is another one then, and
as over ssh the environment stays behind.
"""

from __future__ import annotations

import json
import os
import socket
import sys

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main() -> int:
    folder, machine, *words = sys.argv[1:]
    here = machine == "."
    fork = words[0] == "--fork"
    if fork:
        words = words[1:]
    order = {
        "words": words if here else ["sh", "-c", " ".join(words)],
        "environment": {**os.environ, "STANDIN_FORK": "1"}
        if here
        else {"PATH": PATH, "HOME": "/root", "TMPDIR": folder},
        "folder": os.getcwd(),
        "fork": fork,
        "contain": False,
        "patience": 0,
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{folder}/{socket.gethostname() if here else machine}.socket")
        socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], [0, 1, 2])
        answer = connection.recv(64)
    return int(answer or b"1") % 256


if __name__ == "__main__":
    sys.exit(main())
