"""What a load test refuses to its operator; `python -m tests.load` catches these once."""


class LoadTestError(Exception):
    """The load test could not be done: the message names the problem and the next step."""
