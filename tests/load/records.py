"""What happened to every request of a run, and its summary by stage."""

from __future__ import annotations  # array takes no parameter at run time

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from serving.judge import Kind

REQUESTS = "requests.npz"
STAGES = "stages.json"
KINDS = tuple(Kind)
NUMBERS = {kind: number for number, kind in enumerate(KINDS)}


class Span(BaseModel):
    """When a stage was; moments are seconds of the machine's monotonic clock."""

    model_config = ConfigDict(frozen=True)

    level: float
    overload: bool
    start: float
    settled: float
    """From here on latency counts."""
    end: float
    unsent: int
    """Arrivals that no user was free for until the end."""
    late_ms: float
    """How late Locust let arrivals go, 99th percentile: its own slowness, not the server's."""


class Summary(BaseModel):
    """One stage in numbers."""

    model_config = ConfigDict(frozen=True)

    level: float
    overload: bool
    seconds: float
    """Of which latency and rate count."""
    requests: int
    answered: int
    refused: int
    overloaded: int
    failed: int
    unsent: int
    rate: float
    """Requests a second that were dealt with as they should."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    late_ms: float


@dataclass
class Records:
    """Every request, in the order they ended."""

    due: array[float] = field(default_factory=lambda: array("d"))
    """When it had to be sent."""
    latency: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from `due` to the end of the answer."""
    kind: array[int] = field(default_factory=lambda: array("B"))
    failures: Counter[str] = field(default_factory=Counter)
    """Why, how often."""

    def add(self, due: float, latency: float, kind: Kind, reason: str | None) -> None:
        """Note one request."""
        self.due.append(due)
        self.latency.append(latency)
        self.kind.append(NUMBERS[kind])
        if reason is not None:
            self.failures[reason] += 1

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
        """Due, latency and kind as arrays; copies, so that more can be added meanwhile."""
        return np.array(self.due), np.array(self.latency), np.array(self.kind, dtype=np.uint8)

    def save(self, folder: Path, spans: Sequence[Span]) -> None:
        """Write requests and stages."""
        due, latency, kind = self.arrays()
        np.savez_compressed(folder / REQUESTS, due=due, latency=latency, kind=kind)
        document = {
            "stages": [span.model_dump() for span in spans],
            "failures": self.failures.most_common(),
        }
        (folder / STAGES).write_text(json.dumps(document, indent=2))

    @classmethod
    def load(cls, folder: Path) -> tuple[Records, tuple[Span, ...]]:
        """Read what `save` wrote."""
        with np.load(folder / REQUESTS) as saved:
            records = cls(
                array("d", saved["due"]), array("d", saved["latency"]), array("B", saved["kind"])
            )
        document = json.loads((folder / STAGES).read_text())
        records.failures.update(dict(document["failures"]))
        return records, tuple(Span.model_validate(span) for span in document["stages"])


def summarise(records: Records, span: Span) -> Summary:
    """One stage in numbers: requests belong to the stage in which they were due."""
    due, latency, kind = records.arrays()
    inside = (due >= span.start) & (due < span.end)
    counts = Counter(KINDS[number] for number in kind[inside])
    counted = inside & (due >= span.settled)
    right = counted & np.isin(kind, (NUMBERS[Kind.ANSWERED], NUMBERS[Kind.REFUSED]))
    answered = latency[counted & (kind == NUMBERS[Kind.ANSWERED])] * 1000
    percentiles = np.percentile(answered, (50, 95, 99)).tolist() if len(answered) else [None] * 3
    seconds = span.end - span.settled
    return Summary(
        level=span.level,
        overload=span.overload,
        seconds=seconds,
        requests=int(inside.sum()) + span.unsent,
        answered=counts[Kind.ANSWERED],
        refused=counts[Kind.REFUSED],
        overloaded=counts[Kind.OVERLOADED],
        failed=counts[Kind.FAILED],
        unsent=span.unsent,
        rate=float(right.sum()) / seconds,
        p50_ms=percentiles[0],
        p95_ms=percentiles[1],
        p99_ms=percentiles[2],
        late_ms=span.late_ms,
    )
