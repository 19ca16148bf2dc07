"""From a spec to rows to learn from and rows held out."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from experiments import roles as rolling
from experiments import sources
from experiments.errors import ExperimentError
from experiments.roles import Chosen
from experiments.spec import ExperimentSpec, FileSplit, StratifiedSplit, TimeSplit
from experiments.specfile import near

Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Features, the target's true values, and columns kept only to look at groups."""

    X: pd.DataFrame
    y: Labels
    aside: pd.DataFrame

    def take(self, positions: npt.NDArray[np.int64]) -> "Rows":
        """The rows at these positions, in their order."""
        return Rows(
            self.X.iloc[positions].reset_index(drop=True),
            self.y[positions],
            self.aside.iloc[positions].reset_index(drop=True),
        )

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Data:
    """What one experiment learns from and is measured on."""

    train: Rows
    holdout: Rows
    roles: Mapping[str, Chosen]
    classes: Labels | None
    """A classifier's classes, sorted; None for regression."""
    without_target: int
    """Rows left out because their target is missing."""


def load(spec: ExperimentSpec) -> Data:
    """Read, check, give each column its role and type, and split."""
    table = sources.read(spec.data, "data.source")
    rows = len(table)
    if isinstance(spec.split, FileSplit):
        table = _joined(table, sources.read(spec.split, "split.source"))
    _check_columns(spec, list(table.columns))
    known = table[spec.target].notna().to_numpy()
    table, learned = table[known], int(known[:rows].sum())
    y, classes = _target(table[spec.target], spec)
    features = table.drop(columns=[spec.target, *spec.drop])
    roles = rolling.choose(features, spec.roles)
    X = rolling.cast(features, roles)
    if X.columns.empty:
        raise ExperimentError("no column is left to learn from")
    aside = table[[name for name in spec.slices if name not in X.columns]]
    everything = Rows(X, y, aside)
    order, cut = _order(spec, table, y, learned)
    data = Data(
        everything.take(order[:cut]),
        everything.take(order[cut:]),
        roles,
        classes,
        int((~known).sum()),
    )
    _check_rows(spec, data)
    return data


def digest(rows: Rows) -> str:
    """One sha256 over features and target."""
    hashes = pd.util.hash_pandas_object(rows.X.assign(**{"": rows.y}), index=False)
    return hashlib.sha256(hashes.to_numpy().tobytes()).hexdigest()


def _joined(train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """One table, so that both parts get the same roles and types."""
    for name in train.columns:
        if name not in test.columns:
            raise ExperimentError(f"split.source: column {name!r} is not in the test table")
    return pd.concat([train, test[train.columns]], ignore_index=True)


def _check_columns(spec: ExperimentSpec, columns: list[str]) -> None:
    wanted: dict[str, Iterable[str]] = {
        "target": [spec.target],
        "drop": spec.drop,
        **{f"roles.{role}": names for role, names in spec.roles.model_dump().items()},
        "split.column": [spec.split.column] if isinstance(spec.split, TimeSplit) else [],
        "slices": spec.slices,
    }
    for place, names in wanted.items():
        for name in names:
            if name not in columns:
                raise ExperimentError(
                    f"{place}: the data has no column {name!r}{near(name, columns)}; "
                    f"it has {', '.join(columns[:12])}{', …' if len(columns) > 12 else ''}"
                )


def _target(column: "pd.Series[Any]", spec: ExperimentSpec) -> tuple[Labels, Labels | None]:
    """The target as float64, or as str, int or bool labels and the sorted classes."""
    name = spec.target
    if column.nunique() < 2:
        found = "no values" if column.empty else f"one value only, {column.tolist()[0]!r}"
        raise ExperimentError(f"target: column {name!r} has {found}; there is nothing to learn")
    if spec.task == "regression":
        return _amounts(column, spec), None
    labels = _labels(column, name)
    classes = np.unique(labels)
    if spec.task == "binary" and len(classes) != 2:
        raise ExperimentError(
            f"target: column {name!r} has {len(classes)} classes; task binary needs 2, "
            "task multiclass takes them"
        )
    return labels, classes


def _amounts(column: "pd.Series[Any]", spec: ExperimentSpec) -> Labels:
    if column.dtype.kind not in "iuf":
        raise ExperimentError(
            f"target: column {spec.target!r} holds {column.tolist()[0]!r}, which is no number; "
            "task regression needs numbers"
        )
    amounts = column.to_numpy(dtype=np.float64)
    if not np.isfinite(amounts).all():
        raise ExperimentError(f"target: column {spec.target!r} has infinite values")
    if (spec.log_target or spec.metric == "rmsle") and amounts.min() <= -1:
        raise ExperimentError(
            f"target: column {spec.target!r} goes down to {amounts.min():g}; "
            "log_target and rmsle need values above -1"
        )
    return amounts


def _labels(column: "pd.Series[Any]", name: str) -> Labels:
    values = column.to_numpy()
    if column.dtype.kind in "iu":
        return values.astype(np.int64)
    if column.dtype.kind == "b" or column.map(type).isin({bool}).all():
        return values.astype(np.bool_)
    if column.dtype.kind == "f" and (values % 1 == 0).all():
        return values.astype(np.int64)
    if not column.map(lambda value: isinstance(value, str)).all():
        raise ExperimentError(
            f"target: column {name!r} holds {column.tolist()[0]!r}; classes are strings, "
            "whole numbers or true and false"
        )
    return column.to_numpy(dtype=object)


def _order(
    spec: ExperimentSpec, table: pd.DataFrame, y: Labels, learned: int
) -> tuple[npt.NDArray[np.int64], int]:
    """The rows' positions, those to learn from first, and how many those are."""
    positions = np.arange(len(y))
    split = spec.split
    if isinstance(split, FileSplit):
        return positions, learned
    held = round(len(y) * split.fraction)
    if held < 2 or len(y) - held < 2:
        raise ExperimentError(f"split.fraction: {split.fraction:g} of {len(y)} rows is too few")
    if isinstance(split, TimeSplit):
        moments = rolling.moments(table[split.column], split.column)
        return np.argsort(moments, kind="stable"), len(y) - held
    try:
        train, holdout = train_test_split(
            positions,
            test_size=held,
            random_state=spec.seed,
            stratify=y.astype(str) if isinstance(split, StratifiedSplit) else None,
        )
    except ValueError as error:
        raise ExperimentError(f"split: {error}") from error
    return np.concatenate([train, holdout]), len(train)


def _check_rows(spec: ExperimentSpec, data: Data) -> None:
    if not len(data.holdout):
        raise ExperimentError("split.source: the test table has no rows with a target")
    if len(data.train) < 2 * spec.cv.folds:
        raise ExperimentError(
            f"{len(data.train)} rows are too few for {spec.cv.folds} folds; "
            "lower cv.folds or bring more data"
        )
    if data.classes is None:
        return
    names, counts = np.unique(data.train.y.astype(str), return_counts=True)
    if counts.min() < spec.cv.folds or len(names) < len(data.classes):
        rare = str(names[counts.argmin()])
        missing = sorted({str(c) for c in data.classes} - set(names))
        found = (
            f"no rows of class {missing[0]!r}" if missing else (f"{counts.min()} of class {rare!r}")
        )
        raise ExperimentError(
            f"target: the training rows have {found}, fewer than the {spec.cv.folds} folds; "
            "lower cv.folds, join classes or bring more data"
        )
    if len(np.unique(data.holdout.y.astype(str))) < 2:
        raise ExperimentError("split: the held-out rows are of one class; choose another split")
