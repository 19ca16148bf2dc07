"""Servers as real processes on a core of their own, and what they use of it."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.errors import BenchmarkError

START_SECONDS = 120.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.01
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# One core for the server: a pool of threads would only take turns on it.
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1"
    for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
}
# What servers see of our environment; PYTHONPATH and the like stay out.
INHERITED = ("HOME", "LANG", "LC_ALL", "TMPDIR", "USER")


@dataclass(frozen=True)
class Launch:
    """How a server is started."""

    command: list[str]
    variables: Mapping[str, str]
    folder: Path


class Cores(NamedTuple):
    """The two cores that a comparison uses."""

    server: int
    client: int


class Usage(NamedTuple):
    """CPU seconds so far."""

    server: float
    """Of all processes of a server."""
    core: float
    """Of its core, whoever used it."""


class Memory(NamedTuple):
    """What a server holds."""

    mb: float
    """MB of 10⁶ bytes: the resident set of one process; of several, their proportional sets, which
    count shared pages once, and less where strangers share them too."""
    processes: int


@dataclass(frozen=True)
class Server:
    """A started server."""

    process: subprocess.Popen[bytes]
    core: int
    start_seconds: float
    """From its start to its first right answer."""

    def meter(self) -> Callable[[], Usage]:
        """Reads what its present processes, and all others on its core, have used so far."""
        pids = tree(self.process.pid)
        return lambda: Usage(sum(_cpu_seconds(pid) for pid in pids), _core_seconds(self.core))

    def resident_mb(self) -> float:
        """What all its processes hold now, as quick as it can be read: MB of 10⁶ bytes."""
        stats = [Path(f"/proc/{pid}/statm").read_text() for pid in tree(self.process.pid)]
        return sum(int(each.split()[1]) for each in stats) * PAGE / 1e6

    def memory(self) -> Memory:
        """What all its processes hold now."""
        pids = tree(self.process.pid)
        rolls = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
        pattern = r"Rss:\s+(\d+)" if len(pids) == 1 else r"Pss:\s+(\d+)"
        kilobytes = sum(int(found) for roll in rolls for found in re.findall(pattern, roll))
        return Memory(kilobytes * 1024 / 1e6, len(pids))


def take_cores() -> Cores:
    """Move this process to the second core that it may use; servers get the first."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise BenchmarkError("a comparison needs two cores, one for the server and one to ask it")
    cores = Cores(*available[:2])
    os.sched_setaffinity(0, {cores.client})
    return cores


@contextlib.contextmanager
def running(
    launch: Launch, cores: Cores, log: Path, answers: Callable[[], bool]
) -> Iterator[Server]:
    """A server that has given its first right answer; all its processes are ended after."""
    variables = {name: os.environ[name] for name in INHERITED if name in os.environ}
    with log.open("wb") as output:
        started = time.perf_counter()
        os.sched_setaffinity(0, {cores.server})  # a child, and its children, keep their parent's
        try:
            process = subprocess.Popen(
                launch.command,
                cwd=launch.folder,
                env={**variables, **ONE_THREAD, **launch.variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, {cores.client})
    try:
        while not answers():
            _check(process, started, log)
            time.sleep(POLL_SECONDS)
        yield Server(process, cores.server, time.perf_counter() - started)
    finally:
        _stop(process)


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int(_stat(int(entry.name))[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(parents.get(pid, ()))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third (state) on: a name may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICK  # utime and stime


def _core_seconds(core: int) -> float:
    """User, nice and system time of a core, and what the machine's host took from it."""
    lines = Path("/proc/stat").read_text().splitlines()
    fields = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    return sum(int(fields[column]) for column in (1, 2, 3, 8)) / TICK


def _check(process: subprocess.Popen[bytes], started: float, log: Path) -> None:
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    if process.poll() is not None:
        raise BenchmarkError(f"{process.args!r} ended with {process.returncode}:\n{tail}")
    if time.perf_counter() - started > START_SECONDS:
        raise BenchmarkError(f"{process.args!r} gives no right answer:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole session that the server leads; the next one has the core to itself."""
    end = time.perf_counter() + STOP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.perf_counter() < end:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(POLL_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
