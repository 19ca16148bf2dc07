"""What a comparison measured, as it is written to JSON."""

from pydantic import BaseModel, ConfigDict

from benchmarks.circumstances import Circumstances


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Case(_Record):
    """One way to load a server."""

    way: str
    """REST or gRPC."""
    rows: int
    """In each request."""
    connections: int


class Measured(_Record):
    """One contender in one case in one round."""

    contender: str
    round: int
    case: Case
    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    """The server's CPU time for each request."""
    client_busy: float
    """Share of the client's core in use: near 1, the client was the limit."""
    others_busy: float
    """Share of the server's core that other processes used: what makes a run noisy."""
    failures: int
    """Requests that failed or were answered wrongly."""
    first_failure: str | None


class Started(_Record):
    """One start of one contender; memory is that of all its processes after the round's load."""

    contender: str
    round: int
    seconds: float
    """To the first right answer."""
    memory_mb: float
    processes: int


class Results(_Record):
    """One run of one comparison."""

    circumstances: Circumstances
    seconds: dict[int, float]
    """Length of a timed window, by rows in a request."""
    ceiling: tuple[Measured, ...]
    """The client against a server that does nothing."""
    started: tuple[Started, ...]
    measured: tuple[Measured, ...]
