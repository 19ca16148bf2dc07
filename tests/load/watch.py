"""What a process or a container uses, from the kernel: memory, CPU, and how often its limit
stopped it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from serving import container
from tests.load.errors import LoadTestError
from tests.load.records import Span
from tests.load.verdict import Usage

CGROUPS = Path("/sys/fs/cgroup")
EVERY_SECONDS = 0.25
MB = 1e6


class Sample(NamedTuple):
    """Counters at one moment of the monotonic clock."""

    at: float
    memory_mb: float
    peak_mb: float
    """The largest resident set that the server's process has had."""
    cpu_seconds: float
    periods: int = 0
    throttled: int = 0


class Limits(NamedTuple):
    """What the replica may use."""

    cpus: float
    memory_mb: float


class Source(Protocol):
    """Something whose use can be read."""

    def sample(self) -> Sample:
        """Its counters now."""
        ...

    def limits(self) -> Limits:
        """What it may use."""
        ...


@dataclass(frozen=True)
class Process:
    """A process without limits of its own but the processors it is pinned to."""

    pid: int

    def sample(self) -> Sample:
        """Resident memory, and user and system time."""
        # The command's name, in brackets, may hold anything; the times are 12 fields behind it.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return Sample(
            time.monotonic(),
            _resident_mb(self.pid, "VmRSS"),
            _resident_mb(self.pid, "VmHWM"),
            ticks / os.sysconf("SC_CLK_TCK"),
        )

    def limits(self) -> Limits:
        """The processors it may run on, and the machine's memory."""
        return Limits(float(len(os.sched_getaffinity(self.pid))), _machine_mb())


@dataclass(frozen=True)
class CgroupV2:
    """A container on a machine with the unified hierarchy."""

    pid: int
    folder: Path

    def sample(self) -> Sample:
        """Memory without the page cache that can be dropped, as Kubernetes counts it."""
        cached = _table(self.folder / "memory.stat")["inactive_file"]
        cpu = _table(self.folder / "cpu.stat")
        return Sample(
            time.monotonic(),
            (int((self.folder / "memory.current").read_text()) - cached) / MB,
            _resident_mb(self.pid, "VmHWM"),
            cpu["usage_usec"] / 1e6,
            cpu.get("nr_periods", 0),
            cpu.get("nr_throttled", 0),
        )

    def limits(self) -> Limits:
        """Its quota and its memory limit."""
        quota, period = (self.folder / "cpu.max").read_text().split()
        most = (self.folder / "memory.max").read_text().strip()
        return Limits(
            _machine_cpus() if quota == "max" else int(quota) / int(period),
            _machine_mb() if most == "max" else int(most) / MB,
        )


@dataclass(frozen=True)
class CgroupV1:
    """A container on a machine with a hierarchy for each controller."""

    pid: int
    cpu: Path
    cpuacct: Path
    memory: Path

    def sample(self) -> Sample:
        """Memory without the page cache that can be dropped, as Kubernetes counts it."""
        cached = _table(self.memory / "memory.stat")["total_inactive_file"]
        cpu = _table(self.cpu / "cpu.stat")
        return Sample(
            time.monotonic(),
            (int((self.memory / "memory.usage_in_bytes").read_text()) - cached) / MB,
            _resident_mb(self.pid, "VmHWM"),
            int((self.cpuacct / "cpuacct.usage").read_text()) / 1e9,
            cpu["nr_periods"],
            cpu["nr_throttled"],
        )

    def limits(self) -> Limits:
        """Its quota and its memory limit."""
        quota = int((self.cpu / "cpu.cfs_quota_us").read_text())
        period = int((self.cpu / "cpu.cfs_period_us").read_text())
        most = int((self.memory / "memory.limit_in_bytes").read_text())
        return Limits(
            _machine_cpus() if quota < 0 else quota / period,
            min(most / MB, _machine_mb()),  # version 1 says "no limit" with a number near 2**63
        )


def source_of(pid: int) -> Source:
    """How to read this process: by its container's cgroup, when it is in one of its own."""
    mine, its = (Path(f"/proc/{each}/cgroup").read_text() for each in ("self", pid))
    if mine == its:
        return Process(pid)
    paths: dict[str, str] = {}
    for line in its.splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path.lstrip("/")))
    if (CGROUPS / "cgroup.controllers").is_file():
        return CgroupV2(pid, CGROUPS / paths[""])
    return CgroupV1(pid, *(CGROUPS / each / paths[each] for each in ("cpu", "cpuacct", "memory")))


def container_pid(name: str) -> int:
    """The first process of a running container."""
    pid = int(container.engine("inspect", "--format", "{{.State.Pid}}", name))
    if pid == 0:
        raise LoadTestError(f"the container {name!r} is not running; start it first")
    return pid


@dataclass
class Watch:
    """Samples of the server and of Locust."""

    server: list[Sample] = field(default_factory=list)
    generator: list[Sample] = field(default_factory=list)

    @property
    def peak_memory_mb(self) -> float | None:
        """The most that the server used, be it between two samples."""
        return max((max(each.memory_mb, each.peak_mb) for each in self.server), default=None)

    def usage(self, span: Span) -> Usage:
        """What was used during one stage."""
        server = [s for s in self.server if span.start <= s.at <= span.end]
        generator = [s for s in self.generator if span.start <= s.at <= span.end]
        periods = server[-1].periods - server[0].periods if server else 0
        return Usage(
            memory_mb=max((sample.memory_mb for sample in server), default=None),
            server_cpus=_cpus(server),
            throttled=(server[-1].throttled - server[0].throttled) / periods if periods else None,
            generator_cpus=_cpus(generator),
        )


@contextmanager
def watching(server: Source | None, generator: Source) -> Iterator[Watch]:
    """Sample both until the end."""
    watch = Watch()
    over = threading.Event()

    def look() -> None:
        while not over.wait(EVERY_SECONDS):
            if server is not None:
                _note(watch.server, server.sample)
            _note(watch.generator, generator.sample)

    thread = threading.Thread(target=look, name="watch")
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _note(samples: list[Sample], sample: Callable[[], Sample]) -> None:
    try:
        samples.append(sample())
    except (OSError, ValueError):  # it has just ended
        return


def _resident_mb(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) * 1024 / MB


def _cpus(samples: list[Sample]) -> float | None:
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    return (last.cpu_seconds - first.cpu_seconds) / (last.at - first.at)


def _table(path: Path) -> dict[str, int]:
    return {key: int(value) for key, value in map(str.split, path.read_text().splitlines())}


def _machine_cpus() -> float:
    return float(os.cpu_count() or 1)


def _machine_mb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MB
