"""Worker processes, one a core, that hold the training rows."""

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import joblib
from threadpoolctl import threadpool_limits

from experiments import interruption
from experiments.errors import ExperimentError

Result = TypeVar("Result")
_held: list[Any] = []  # in a worker: the rows


class Cores:
    """Runs functions on the rows that its workers hold."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def map(
        self, function: Callable[..., Result], calls: Sequence[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """`function(rows, *call)` for each call; results in the order of the calls."""
        pending = [self._pool.submit(_call, function, call) for call in calls]
        try:
            for future in pending:
                with interruption.heeded():
                    result = future.result()
                yield result
        except BrokenProcessPool as error:
            raise ExperimentError(
                "a worker process died, mostly for lack of memory; search fewer or smaller models"
            ) from error


@contextmanager
def holding(rows: Any) -> Iterator[Cores]:
    """Workers for as long as the block runs; an exception ends them at once."""
    count = joblib.cpu_count()  # knows affinity and the container's limit
    with tempfile.TemporaryDirectory(prefix="assay-rows-") as folder:
        path = Path(folder) / "rows.pickle"
        path.write_bytes(pickle.dumps(rows))
        pool = ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), initializer=_prepare, initargs=(path,)
        )
        for _ in range(count):
            pool.submit(_held.copy)  # starts one worker, which imports while we go on
        try:
            yield Cores(pool)
            pool.shutdown()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _prepare(path: Path) -> None:
    """Load the rows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the parent
    threading.Thread(target=_follow_parent, daemon=True).start()
    _held.append(pickle.loads(path.read_bytes()))  # noqa: S301 - written by our parent


def _follow_parent() -> None:
    """A parent that was killed cannot end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """One thread a worker: with more they would fight for the cores, and OpenMP fights hard."""
    with threadpool_limits(1):
        return function(_held[0], *arguments)
