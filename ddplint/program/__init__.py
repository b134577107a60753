"""What the code means: the model that rules ask. Importing it imports libcst."""

from ddplint.program.module import SyntaxProblem
from ddplint.program.program import Program
from ddplint.program.project import Project, load_project

__all__ = ["Program", "Project", "SyntaxProblem", "load_project"]
