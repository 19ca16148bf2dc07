"""What can go wrong while comparing."""


class BenchmarkError(Exception):
    """A comparison that cannot be made; the message names the problem and the next step."""
