"""Batching never changes an answer, mixes replies, or lets one request hurt another."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching import Batcher
from serving.engine import Columns, Outputs
from serving.problems import Refusal


class Recorder:
    """An engine that doubles its column, remembers its calls, and fails on a negative value."""

    name = "recorder"

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.calls: list[int] = []
        self._gate = gate

    def predict(self, columns: Columns) -> Outputs:
        x = columns["x"]
        self.calls.append(len(x))
        if self._gate is not None:
            self._gate.wait(5)
        if np.any(x < 0):
            raise ValueError("negative")
        return {"prediction": x * 2}


def _columns(values: list[int]) -> Columns:
    return {"x": np.array(values, dtype=np.float64)}


def _run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 10))


async def _ask(batcher: Batcher, values: list[int], deadline: float | None = None) -> list[float]:
    outputs = await batcher.predict(_columns(values), len(values), deadline)
    return [float(value) for value in outputs["prediction"]]


# Each client sends some requests of some rows; a request with a negative value is one that fails.
REQUEST = st.lists(st.integers(-1, 1000), min_size=1, max_size=5)
CLIENTS = st.lists(st.lists(REQUEST, min_size=1, max_size=4), min_size=1, max_size=12)


@given(clients=CLIENTS, max_rows=st.integers(1, 20), cancelled=st.sets(st.integers(0, 11)))
@settings(max_examples=60, deadline=None)
def test_every_client_gets_its_own_answer_or_its_own_error(
    clients: list[list[list[int]]], max_rows: int, cancelled: set[int]
) -> None:
    engine = Recorder()

    async def client(batcher: Batcher, requests: list[list[int]]) -> None:
        for values in requests:
            if any(value < 0 for value in values):
                with pytest.raises(ValueError, match="negative"):
                    await _ask(batcher, values)
            else:
                assert await _ask(batcher, values) == [2.0 * value for value in values]

    async def story() -> None:
        batcher = Batcher(engine, max_rows)
        tasks = [asyncio.create_task(client(batcher, requests)) for requests in clients]
        await asyncio.sleep(0)
        for number in cancelled:
            if number < len(tasks):
                tasks[number].cancel()
        for number, outcome in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
            if number not in cancelled:
                assert outcome is None

    _run(story)
    # A request larger than the limit goes alone; otherwise no call is larger than it.
    largest = max(len(values) for requests in clients for values in requests)
    assert max(engine.calls, default=0) <= max(max_rows, largest)


def test_those_who_wait_together_are_answered_by_one_call() -> None:
    gate = threading.Event()
    engine = Recorder(gate)

    async def story() -> None:
        batcher = Batcher(engine, max_rows=100)
        first = asyncio.create_task(_ask(batcher, [1]))
        while not engine.calls:
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(_ask(batcher, [number])) for number in range(10)]
        await asyncio.sleep(0)
        gate.set()
        assert await first == [2.0]
        assert await asyncio.gather(*rest) == [[2.0 * number] for number in range(10)]

    _run(story)
    assert engine.calls == [1, 10]


def test_a_passed_deadline_is_refused_without_a_call() -> None:
    gate = threading.Event()
    engine = Recorder(gate)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        batcher = Batcher(engine, max_rows=100)
        first = asyncio.create_task(_ask(batcher, [1]))
        while not engine.calls:
            await asyncio.sleep(0.001)
        late = asyncio.create_task(_ask(batcher, [2], deadline=loop.time() - 1))
        patient = asyncio.create_task(_ask(batcher, [3], deadline=loop.time() + 60))
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(Refusal) as refused:
            await late
        assert refused.value.status == 504
        assert await first == [2.0]
        assert await patient == [6.0]

    _run(story)
    assert engine.calls == [1, 1]
