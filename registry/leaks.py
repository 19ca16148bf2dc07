"""Columns that alone tell the target better than is believable."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from registry.metrics import Codes, Floats

MOST_BINS = 64
ROWS_A_BIN = 5  # fewer, and a bin's mean or majority says little about rows it has not seen
LEAST_ROWS = 50
SEED = 2026


def strength(column: "pd.Series[Any]", actual: Floats | Codes, *, regression: bool) -> float:
    """The share of what is to be known that the column alone tells about unseen rows, up to 1.

    For regression the share of the variance of the target's ranks, for classes the share of the
    majority answer's errors. Learned on one half of the rows and measured on the other, both ways;
    over all rows, and over those where the column is not null, whichever is more.
    """
    told = _told(column, actual, regression=regression)
    known = column.notna().to_numpy()
    if known.all() or known.sum() < LEAST_ROWS:
        return told
    return max(told, _told(column[known], actual[known], regression=regression))


def _told(column: "pd.Series[Any]", actual: Floats | Codes, *, regression: bool) -> float:
    rows = len(actual)
    half = np.random.default_rng(SEED).permutation(rows) < rows // 2
    # Codes begin at -1 where a class is unknown to the model.
    target: Any = pd.Series(actual).rank().to_numpy() if regression else actual - int(actual.min())
    tell: Callable[[Codes, Any, npt.NDArray[np.bool_]], Any] = _numbers if regression else _classes
    told = np.empty(rows)
    for learn in (half, ~half):
        bins = _bins(column, learn)
        told[~learn] = tell(bins, target, learn)[~learn]
    if regression:
        missed, total = ((target - told) ** 2).sum(), ((target - target.mean()) ** 2).sum()
    else:
        missed, total = (told != target).sum(), rows - np.bincount(target).max()
    return max(0.0, float(1 - missed / total)) if total > 0 else 0.0


def _bins(column: "pd.Series[Any]", learn: npt.NDArray[np.bool_]) -> Codes:
    """Each row's group: its value, or a range of values when there are many; 0 means null."""
    kind = column.dtype.kind
    if kind in "mM":
        column = column.astype("int64").where(column.notna())
    elif kind not in "iufb":
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.notna().sum() < column.notna().sum():
            return (pd.factorize(column)[0] + 1).astype(np.int64)
        column = numbers  # numbers written as text
    if column.nunique() <= MOST_BINS:
        return (pd.factorize(column)[0] + 1).astype(np.int64)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    known = values[learn & ~np.isnan(values)]
    count = max(2, min(MOST_BINS, len(known) // ROWS_A_BIN))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, count + 1)[1:-1]))
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values) + 1).astype(np.int64)


def _numbers(bins: Codes, target: Floats, learn: npt.NDArray[np.bool_]) -> Floats:
    size = int(bins.max()) + 1
    counts = np.bincount(bins[learn], minlength=size)
    sums = np.bincount(bins[learn], weights=target[learn], minlength=size)
    overall = target[learn].mean()
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall)[bins]


def _classes(bins: Codes, target: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
    table = np.zeros((int(bins.max()) + 1, int(target.max()) + 1))
    np.add.at(table, (bins[learn], target[learn]), 1)
    overall = np.bincount(target[learn]).argmax()
    answer: Codes = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), overall)
    return answer[bins]
