"""What training can refuse; `python -m experiments` catches these once."""


class ExperimentError(Exception):
    """Something the user can act on: the message names the problem and the next step."""
