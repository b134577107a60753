"""What a running training job can lean on: who this process is, who says so, and what is wrong with it.

This room stands apart from the linter: neither imports the other. Detection needs nothing but the standard library.
"""
