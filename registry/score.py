"""A version's own pipeline answers rows.

Each in a process of its own, so that a version runs the code that travels with it, whatever another
version or the working directory calls the same.
"""

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from registry.artifact import Artifact
from registry.contract import Column, Contract

MODEL = "model.skops"
CODE = "code"
Scoring = Callable[[Path, Path, Path], Future[None]]


@contextmanager
def scoring() -> Iterator[Scoring]:
    """Lets `score` run for several versions at once, each in a fresh process."""
    # Processes are forked from one that has imported what takes seconds, and nothing of a model.
    context = get_context("forkserver")
    context.set_forkserver_preload(["pandas", "skops.io"])
    with ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as pool:
        yield lambda model, rows, answers: pool.submit(score, model, rows, answers)


def score(folder: Path, rows: Path, answers: Path) -> None:
    """Write `{"prediction": [...], "probability": [[...]]}`; the latter for classifiers."""
    import skops.io

    sys.path.insert(0, str(folder / CODE))
    # Whoever calls this has held the types against the policy's list.
    types = skops.io.get_untrusted_types(file=folder / MODEL)
    pipeline = skops.io.load(folder / MODEL, trusted=types)
    contract = Artifact(folder).contract
    table = arrange(pd.read_parquet(rows), contract)
    document = {"prediction": pipeline.predict(table).tolist()}
    if contract.task != "regression":
        document["probability"] = pipeline.predict_proba(table).tolist()
    answers.write_text(json.dumps(document))


def arrange(table: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The contract's columns in its order; a nullable column that the table lacks is null."""
    arranged = {
        column.name: table[column.name] if column.name in table else _nulls(column, len(table))
        for column in contract.columns
    }
    return pd.DataFrame(arranged, index=table.index)


def _nulls(column: Column, rows: int) -> "pd.Series[float]":
    dtype = {"string": "str", "datetime": "datetime64[us]", "double": "float64", "float": "float32"}
    return pd.Series([None] * rows, dtype=dtype.get(column.type, "object"))
