"""Requests that become due at random moments, whether or not the server has answered others."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gevent
import numpy as np
from gevent.queue import SimpleQueue

PATIENCE_SECONDS = (
    10.0  # a client that waited longer has gone, and a server that takes longer hangs
)
CLOSED = None  # told to each user instead of a moment: no more arrivals


class Arrivals:
    """Poisson arrivals, handed to whichever user of their way is free.

    A user that thinks between requests slows down with a slow server, and so hides the slowness;
    these arrivals do not wait for answers. An arrival's moment is when it is let go: how late that
    is, is Locust's fault and kept apart.
    """

    def __init__(self, ways: Mapping[str, float], seed: int = 0) -> None:
        self._ways = list(ways)
        self._shares = list(ways.values())
        self._queues: dict[str, SimpleQueue[Any]] = {way: SimpleQueue() for way in ways}
        self._chance = random.Random(seed)
        self._late: list[float] = []
        self._gone = 0

    def take(self, way: str) -> float | None:
        """Wait for the next arrival of this way that has not gone again: its moment, or CLOSED."""
        queue = self._queues[way]
        due: float | None
        while (due := queue.get()) is not CLOSED and time.monotonic() - due > PATIENCE_SECONDS:
            self._gone += 1
        return due

    @contextmanager
    def at(self, rate: float) -> Iterator[None]:
        """Let so many arrivals a second go meanwhile."""
        self._late = []
        greenlet = gevent.spawn(self._go, rate)
        try:
            yield
        finally:
            greenlet.kill()

    def withdraw(self) -> int:
        """Take back the arrivals that no user was free for; how many they were, with those gone."""
        unsent, self._gone = self._gone, 0
        for queue in self._queues.values():
            while not queue.empty():
                queue.get()
                unsent += 1
        return unsent

    def late_ms(self) -> float:
        """How late arrivals were let go since the last rate began, 99th percentile."""
        return float(np.percentile(self._late, 99)) * 1000 if self._late else 0.0

    def close(self, users: int) -> None:
        """Send so many users of every way home."""
        for queue in self._queues.values():
            for _ in range(users):
                queue.put(CLOSED)

    def _go(self, rate: float) -> None:
        due = time.monotonic()
        while True:
            due += self._chance.expovariate(rate)
            now = time.monotonic()
            if due > now:
                gevent.sleep(due - now)
                now = time.monotonic()
            self._late.append(now - due)
            (way,) = self._chance.choices(self._ways, self._shares)
            self._queues[way].put(now)
