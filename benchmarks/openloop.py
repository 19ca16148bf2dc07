"""An open loop: requests are sent when they are due, whether or not others were answered.

What a server is asked to hold at a given rate. Latency counts from when a request was due.
"""

import asyncio
import random
import time
from array import array
from collections import deque
from dataclasses import dataclass, field

from benchmarks.errors import BenchmarkError
from benchmarks.forms import Work
from benchmarks.rest import Connection

CONNECTIONS = 64
MOST_WAITING = 10_000  # by then the server is lost, and so is what the client would measure
TICK = 0.001  # seconds; uvloop's timers are no finer


@dataclass
class Answers:
    """What came back."""

    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds, in the order of answers."""
    failures: int = 0
    first_failure: str | None = None

    def fail(self, reason: str) -> None:
        """Count a request that was not answered, or wrongly."""
        self.failures += 1
        self.first_failure = self.first_failure or reason


class OpenLoop:
    """Sends requests at a mean rate, at random times as independent users would."""

    def __init__(self, work: Work, rate: float) -> None:
        self.answers = Answers()
        self._work = work
        self._rate = rate
        self._random = random.Random(0)  # noqa: S311 - arrival times, no secret
        self._connections = 0
        self._idle: deque[Connection] = deque()  # the one idle for longest is used next
        self._waiting: deque[float] = deque()
        self._position = -1
        self._closing = False

    async def run(self, address: str, seconds: float) -> None:
        """Send for so long, then wait for the last answers."""
        loop = asyncio.get_running_loop()
        host, port = address.split(":")
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(
                lambda: Connection(self._answered, self._lost), host, int(port)
            )
            self._idle.append(connection)
            self._connections += 1
        due = time.perf_counter()
        end = due + seconds
        while due < end:
            now = time.perf_counter()
            while due <= now:
                self._send(due)
                due += self._random.expovariate(self._rate)
            if len(self._waiting) > MOST_WAITING or not self._connections:
                raise BenchmarkError(f"the server does not keep up with {self._rate:.0f}/s")
            await asyncio.sleep(TICK)
        while len(self._idle) < self._connections:
            await asyncio.sleep(TICK)
        self._closing = True
        for connection in self._idle:
            connection.close()

    def _send(self, due: float) -> None:
        if not self._idle:
            self._waiting.append(due)
            return
        self._position = (self._position + 1) % len(self._work.requests)
        self._idle.popleft().send(self._work.requests[self._position], self._position, due)

    def _answered(self, connection: Connection, status: bytes, body: bytes) -> None:
        self.answers.latencies.append(time.perf_counter() - connection.since)
        complaint = (
            self._work.complaint(connection.position, body)
            if status == b"200"
            else f"{status.decode()}: {body[:200]!r}"
        )
        if complaint is not None:
            self.answers.fail(complaint)
        self._idle.append(connection)
        if self._waiting:
            self._send(self._waiting.popleft())

    def _lost(self, connection: Connection) -> None:
        if self._closing:
            return
        self.answers.fail("the server closed a connection")
        self._connections -= 1
        if connection in self._idle:
            self._idle.remove(connection)
