"""Micro-batching for an engine whose cost is per call: whoever waits together is answered together.

No timers: an idle engine starts at once, and requests that arrive meanwhile form the next call.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from serving.engine import Columns, Engine, Outputs
from serving.problems import deadline_exceeded


@dataclass(slots=True)
class _Job:
    columns: Columns
    rows: int
    deadline: float | None
    answer: asyncio.Future[Outputs]


class Batcher:
    """Joins waiting requests for one engine, on one worker thread."""

    def __init__(self, engine: Engine, max_rows: int) -> None:
        self._engine = engine
        self._max_rows = max_rows
        self._waiting: deque[_Job] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")

    async def predict(self, columns: Columns, rows: int, deadline: float | None) -> Outputs:
        """Answer these rows; raises the engine's own error, or Refusal past the deadline.

        `deadline` is on the event loop's clock, in seconds.
        """
        loop = asyncio.get_running_loop()
        job = _Job(columns, rows, deadline, loop.create_future())
        self._waiting.append(job)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        return await job.answer

    async def _work(self) -> None:
        while self._waiting:
            jobs = self._next_batch(asyncio.get_running_loop().time())
            if jobs:
                await self._answer(jobs)

    def _next_batch(self, now: float) -> list[_Job]:
        """Take as many waiting jobs as fit, in order; those that nobody awaits any more go."""
        jobs: list[_Job] = []
        rows = 0
        while self._waiting and (not jobs or rows + self._waiting[0].rows <= self._max_rows):
            job = self._waiting.popleft()
            if job.answer.done():  # its client went away
                continue
            if job.deadline is not None and now > job.deadline:
                job.answer.set_exception(deadline_exceeded())
                continue
            jobs.append(job)
            rows += job.rows
        return jobs

    async def _answer(self, jobs: Sequence[_Job]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outputs = await loop.run_in_executor(self._thread, self._engine.predict, _join(jobs))
        except Exception as error:  # noqa: BLE001 - it belongs to the request that caused it
            if len(jobs) > 1:  # one of them did it: let each stand for itself
                for job in jobs:
                    await self._answer([job])
            elif not jobs[0].answer.done():
                jobs[0].answer.set_exception(error)
            return
        start = 0
        for job in jobs:
            part = slice(start, start + job.rows)
            start = part.stop
            if not job.answer.done():
                job.answer.set_result({name: values[part] for name, values in outputs.items()})


def _join(jobs: Sequence[_Job]) -> Columns:
    if len(jobs) == 1:
        return jobs[0].columns
    return {name: np.concatenate([job.columns[name] for job in jobs]) for name in jobs[0].columns}
