"""ddplint: a linter for PyTorch training scripts that must run on more than one process, GPU or node."""

__version__ = "0.1.0"
