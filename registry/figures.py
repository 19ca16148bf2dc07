"""Numbers as people read them."""

from registry.artifact import Interval


def number(value: float) -> str:
    """Four digits, or all that stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def interval(value: Interval) -> str:
    """A value and the ends of its interval."""
    return f"{number(value.value)} ({number(value.low)} to {number(value.high)})"
