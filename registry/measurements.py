"""What the gates look at: numbers about one version, with where they came from.

A measurement that could not be made is the reason why, as text.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from registry.artifact import Interval, Parity
from registry.contract import Task
from registry.metrics import Goal


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Data(_Closed):
    """The hold-out rows that every number stands on."""

    digest: str
    """The sha256 of the file, equal to what training recorded."""
    rows: int
    target: str
    champion_digest: str | None
    """Of the champion's own hold-out rows; it is scored on the candidate's either way."""


class Quality(_Closed):
    """One score of three contestants on the same rows; gains are positive where it is better."""

    metric: str
    goal: Goal
    candidate: Interval
    baseline: float
    """The best constant answer's score."""
    over_baseline: Interval
    champion: Interval | None = None
    over_champion: Interval | None = None
    champion_over_baseline: float | None = None
    incomparable: str | None = None
    """Why the champion could not answer these rows."""


class Slice(_Closed):
    """One group of rows."""

    column: str
    value: str
    rows: int
    candidate: float
    champion: float
    gain: Interval


class Slices(_Closed):
    """The named groups, and how far one may be told to have fallen."""

    groups: tuple[Slice, ...]
    champion_over_baseline: float | None


class Column(_Closed):
    """How much of the target one column tells alone."""

    name: str
    strength: float


class Calibration(_Closed):
    """Mean distance between probability and frequency over ten equal groups of rows."""

    error: float
    chance: float
    """What perfect probabilities would show on as many rows."""


class ErrorQuantile(_Closed):
    """How large the absolute error is that this share of the rows stays below."""

    quantile: float
    candidate: float
    champion: float | None


class Encoding(_Closed):
    """How far served answers are from the pipeline's over one way in."""

    rows: int
    label_flips: int
    largest_difference: float


class Percentiles(_Closed):
    """Of a request's time, in milliseconds."""

    p50: float
    p95: float
    p99: float


class Memory(_Closed):
    """Of the server process."""

    peak: float


class Served(BaseModel):
    """What `python -m serving probe` prints about a started bundle."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    engine: str
    encodings: Mapping[str, Encoding]
    tolerance: float
    start_seconds: float
    latency_ms: Percentiles
    memory_mb: Memory
    requests: int
    errors: int


class Capacity(_Closed):
    """What one replica does, from a load test or from the probe's one client."""

    source: Literal["load test", "probe"]
    latency_ms: Percentiles
    memory_mb: float
    requests: int
    errors: int
    requests_per_second: float | None = None


class Supply(_Closed):
    """What the artifact is made of."""

    digest: str
    registered_digest: str
    format: str
    size_mb: float
    types: tuple[str, ...]
    """Types in the model that skops does not trust by itself."""
    code: tuple[str, ...]
    executables: tuple[str, ...]
    """Files that run code when they are loaded."""
    requirements: int
    unpinned: tuple[str, ...]


class Provenance(_Closed):
    """The code it was trained with."""

    git_commit: str | None
    git_dirty: bool


class Measurements(_Closed):
    """Everything measured about one version for one decision."""

    task: Task
    data: Data
    quality: Quality | str
    slices: Slices | str
    columns: tuple[Column, ...]
    calibration: Calibration | str | None
    """None for regression."""
    errors: tuple[ErrorQuantile, ...] | str | None
    """None for classifiers."""
    breaking: tuple[str, ...]
    """What the champion's clients would trip over."""
    compiled: Parity
    """What training measured about the compiled graph."""
    served: Served | str
    capacity: Capacity | str
    supply: Supply
    provenance: Provenance
