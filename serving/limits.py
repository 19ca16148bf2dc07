"""What the server may use, and what it accepts."""

import contextlib
import math
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

CGROUP = Path("/sys/fs/cgroup")


class ServerLimits(BaseModel):
    """The bounds of one server: `parameters.extra.limits` in a bundle's model-settings.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rows: int = Field(default=10_000, ge=1)
    """Rows in one request."""
    max_bytes: int = Field(default=16 * 2**20, ge=1024)
    """Bytes of one request body, after decompression. Decoding peaks near ten times this."""
    max_waiting: int = Field(default=128, ge=1)
    """Requests in flight, once their bodies are here; the next one is answered 503, Retry-After."""
    drain_seconds: float = Field(default=2.0, ge=0, le=25)
    """After SIGTERM, how long new requests are still answered while clients move away."""
    body_seconds: float = Field(default=30.0, gt=0)
    """How long a client may take to send one body."""


def cpu_threads(cgroup: Path = CGROUP) -> int:
    """Whole CPUs that this process may use, at least one.

    `os.cpu_count()` sees the machine, not the container: the cgroup's quota counts.
    """
    available = len(os.sched_getaffinity(0))
    return max(1, min(available, math.floor(_quota(cgroup) or available)))


def _quota(cgroup: Path) -> float | None:
    """CPUs by the container's own cgroup, of version 2 or 1; None without a limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        microseconds = int((cgroup / "cpu" / "cpu.cfs_quota_us").read_text())
        if microseconds > 0:
            return microseconds / int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
    return None
