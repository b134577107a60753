"""``ddplint run``: an unmodified script, with the start of its process group corrected while it runs.

Nothing is changed on disk. What the launcher says counts; where the script says something else, its value is overruled
and the line is named.
"""
