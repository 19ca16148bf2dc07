"""A closed loop: each connection asks again as soon as it is answered."""

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import BenchmarkError
from benchmarks.forms import Work

# Until every connection is in its stride, at 10 ms a request and 32 connections.
WARM_UP = 0.4  # seconds
Meter = TypeVar("Meter")


class ClosedLoop:
    """Hands out requests in turn, and notes what came back while its window is open."""

    def __init__(self, work: Work, limit: int | None = None) -> None:
        self._left = limit
        self.requests = work.requests
        self.running = True
        self.failures: list[str] = []
        self.unchecked: list[tuple[int, bytes]] = []
        self.latencies: list[float] = []
        self._known = work.known
        self._position = -1
        self._open = False

    def take(self) -> int:
        """The position of the request to send next."""
        self._position = (self._position + 1) % len(self.requests)
        if self._left is not None:
            self._left -= 1
            self.running = self._left > 0
        return self._position

    def answered(self, position: int, sent: float, body: bytes) -> None:
        """Note an answer; the check of bytes never seen before waits until nothing is timed."""
        if self._open:
            self.latencies.append(time.perf_counter() - sent)
        if self._known.get(position) != body:
            self.unchecked.append((position, body))

    def complaints(self, work: Work) -> list[str]:
        """The failures, and what is wrong with the answers that were not checked yet."""
        checked = (work.complaint(position, body) for position, body in self.unchecked)
        return self.failures + [each for each in checked if each is not None]

    def failed(self, reason: str) -> None:
        """Note a request that was not answered."""
        self.failures.append(reason)

    def open(self) -> None:
        """Start to measure."""
        self._open = True

    def close(self) -> None:
        """Measure and send no more; requests in flight are still answered."""
        self._open = self.running = False


class Client(Protocol):
    """A way to ask; `rest` and `grpc` are two."""

    def exchange(self, address: str, request: bytes) -> bytes:
        """Ask once, and wait for the answer; raises OSError where there is none, or no success."""
        ...

    async def ask(self, address: str, connections: int, loop: ClosedLoop) -> None:
        """Ask over so many connections until the loop stops running."""
        ...


@dataclass(frozen=True)
class Window(Generic[Meter]):
    """What was seen while the window was open."""

    seconds: float
    latencies: NDArray[np.float64]
    """Seconds, one for each request answered."""
    client_busy: float
    """Share of the window for which the client's CPU was busy: near 1, the client is measured."""
    before: Meter
    after: Meter
    """What the meter said when the window opened and closed."""
    failures: list[str]
    """Requests that were not answered with success, or not with the pipeline's answer."""


@dataclass(frozen=True)
class Target:
    """Whom to ask what, and how."""

    client: Client
    address: str
    work: Work


async def check(target: Target) -> list[str]:
    """Ask every request once; what was wrong with the answers."""
    loop = ClosedLoop(target.work, limit=len(target.work.requests))
    await target.client.ask(target.address, 1, loop)
    return loop.complaints(target.work)


async def drive(
    target: Target, connections: int, seconds: float, meter: Callable[[], Meter]
) -> Window[Meter]:
    """Keep so many connections busy, and measure for so many seconds."""
    loop = ClosedLoop(target.work)
    gc.collect()
    gc.disable()  # pauses of the client would count as the server's
    task = asyncio.ensure_future(target.client.ask(target.address, connections, loop))
    try:
        await _watch(task, WARM_UP)
        loop.open()
        opened, busy, before = time.perf_counter(), time.process_time(), meter()
        await _watch(task, seconds)
        loop.close()
        closed, idle, after = time.perf_counter(), time.process_time(), meter()
        await task
    finally:
        gc.enable()
        task.cancel()
    if not loop.latencies:
        raise BenchmarkError(f"no answer within {seconds} s: {loop.failures[:1]}")
    return Window(
        seconds=closed - opened,
        latencies=np.array(loop.latencies),
        client_busy=(idle - busy) / (closed - opened),
        before=before,
        after=after,
        failures=loop.complaints(target.work),
    )


async def _watch(task: asyncio.Future[None], seconds: float) -> None:
    """Sleep, unless the client fails."""
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if done:
        task.result()
        raise BenchmarkError("the client stopped before its time")
