"""What to write instead: fixes, built from what the program model knows.

A rule hands its finding's facts to one function here and gets a :class:`~ddplint.findings.Fix`, or None where no
repair is known to be right. All text goes through :class:`~ddplint.repairs.draft.Draft`, which knows the layout of
the files: their imports, quotes, indentation and line length.
"""
