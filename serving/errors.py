"""What the serving room can refuse to its operator; `python -m serving` catches these once.

What it refuses to its clients is in `serving.problems`.
"""


class ServingError(Exception):
    """Something the operator can act on: the message names the problem and the next step."""
