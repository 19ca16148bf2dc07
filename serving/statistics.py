"""What a server has done since it started: counts, and latency without keeping every value."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from serving.problems import Problem

STEPS = 16  # buckets a doubling: a percentile is read within 4.4 %
FIRST = 1e-6  # seconds; the lowest bucket
BUCKETS = 26 * STEPS  # up to 67 s


class Latency:
    """A histogram of seconds on a logarithmic scale."""

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._total = 0

    def add(self, seconds: float) -> None:
        """Count one request."""
        bucket = int(math.log2(max(seconds, FIRST) / FIRST) * STEPS)
        self._counts[min(bucket, BUCKETS - 1)] += 1
        self._total += 1

    def percentile(self, percent: float) -> float | None:
        """Seconds that so many percent of requests stayed under; None before the first."""
        wanted = self._total * percent / 100
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return float(FIRST * 2 ** ((bucket + 1) / STEPS))
        return None


class Statistics:
    """Counts for /health."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.latency = Latency()
        self.answered = 0
        self.refused = 0
        self.errors = 0
        self.problems: Counter[str] = Counter()
        self.rows = 0
        self.rows_with_missing = 0
        self.unknown_categories: Counter[str] = Counter()

    def count(self, status: int, seconds: float, problems: Iterable[Problem] = ()) -> None:
        """Count one finished request by its HTTP status."""
        if status == 200:
            self.answered += 1
            self.latency.add(seconds)
        elif status == 500:
            self.errors += 1
        else:
            self.refused += 1
            self.problems.update(problem.code.value for problem in problems)

    def observe(self, rows: int, missing: int, unknown: Mapping[str, int] | None) -> None:
        """Count the rows of one accepted request."""
        self.rows += rows
        self.rows_with_missing += missing
        if unknown:
            self.unknown_categories.update(unknown)

    def report(self) -> dict[str, object]:
        """The figures that /health shows; times in seconds and milliseconds, as named."""
        return {
            "uptime_seconds": round(time.monotonic() - self.started, 1),
            "requests": self.answered + self.refused + self.errors,
            "refused": self.refused,
            "errors": self.errors,
            "latency_ms": {
                f"p{percent}": None if seconds is None else round(seconds * 1000, 3)
                for percent in (50, 95, 99)
                for seconds in [self.latency.percentile(percent)]
            },
            "rows": self.rows,
            "missing_share": round(self.rows_with_missing / self.rows, 4) if self.rows else None,
            "unknown_categories": dict(self.unknown_categories),
        }
