"""Whether the compiled graph may answer for the pipeline: row for row, where it is hardest."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from experiments import trees
from experiments.columns import feeds
from experiments.features import Numbers
from registry.artifact import Parity, ParityCheck
from registry.contract import FLOAT32_MAX, Column, Contract

TOLERANCE_PROBABILITY = 1e-6  # absolute
TOLERANCE_REGRESSION = 1e-5  # relative to the answer, or to the typical answer where that is larger
THRESHOLD_ROWS = 10_000
EXTREME_ROWS = 4_000
QUANTILES = 200  # stand in for thresholds where a model has none
MOVED = 0.5  # share of a row's columns that get another value
ODD_STRINGS = ("", " ", "never seen", "ÅÄÖ 東京 🏠", "\u0000", "NA", "None", "nan", "x" * 5000)
ODD_NUMBERS = (
    *(0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1.1754944e-38, 0.1, 1 / 3),
    *(2.0**24 - 1, 2.0**24, 2.0**24 + 1, 2.0**53, -(2.0**53), 1e30, FLOAT32_MAX, -FLOAT32_MAX),
)
ODD_INTEGERS = (0, 1, -1, 2**24, 2**24 + 1, 2**31 - 1, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63))


def prove(
    pipeline: Any,
    made: onnx.ModelProto,
    contract: Contract,
    tables: Mapping[str, pd.DataFrame],
    seed: int,
) -> Parity:
    """Compare on the given tables and on rows made from the first of them."""
    session = session_of(made)
    source = next(iter(tables.values()))
    rng = np.random.default_rng(seed)
    everything = {
        **tables,
        "on and next to thresholds": threshold_rows(pipeline, contract, source, rng),
        "extremes, nulls, unknown categories": extreme_rows(contract, source, rng),
    }
    checks = tuple(
        compare(pipeline, session, contract, name, table) for name, table in everything.items()
    )
    return verdict(checks, contract)


def session_of(made: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """One thread, as the server has: with more, the trees' sums would depend on the threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def verdict(checks: tuple[ParityCheck, ...], contract: Contract) -> Parity:
    """The graph serves only when every check passes."""
    regression = contract.task == "regression"
    tolerance = TOLERANCE_REGRESSION if regression else TOLERANCE_PROBABILITY
    for check in checks:
        if check.label_flips or not check.largest_difference <= tolerance:
            reason = (
                f"the graph differs on {check.name}: {check.label_flips} labels, "
                f"by up to {check.largest_difference:.2g}"
            )
            return Parity(engine="pyfunc", reason=reason, tolerance=tolerance, checks=checks)
    rows = sum(check.rows for check in checks)
    largest = max(check.largest_difference for check in checks)
    reason = f"equal on {rows:,} rows, within {largest:.2g}"
    return Parity(engine="onnx", reason=reason, tolerance=tolerance, checks=checks)


def compare(
    pipeline: Any,
    session: onnxruntime.InferenceSession,
    contract: Contract,
    name: str,
    table: pd.DataFrame,
) -> ParityCheck:
    """Both engines on one table."""
    outputs = dict(
        zip(
            [output.name for output in session.get_outputs()],
            session.run(None, feeds(contract, table)),
            strict=True,
        )
    )
    with np.errstate(over="ignore", invalid="ignore"):  # extremes are what we ask about
        truth = np.asarray(pipeline.predict(table))
        chances = None if contract.task == "regression" else pipeline.predict_proba(table)
    if chances is None:
        flips, difference = 0, relative(outputs["prediction"], truth)
    else:
        flips = int((outputs["prediction"] != truth).sum())
        difference = _largest(outputs["probability"] - chances)
    return ParityCheck(name=name, rows=len(table), label_flips=flips, largest_difference=difference)


def relative(answer: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> float:
    """The largest difference as a share of the answer, or of the typical answer if that is more."""
    finite = np.abs(truth[np.isfinite(truth)])
    typical = float(np.median(finite)) if len(finite) else 0.0
    same = (answer == truth) | (np.isnan(answer) & np.isnan(truth))
    with np.errstate(invalid="ignore"):
        shares = np.abs(answer - truth) / np.maximum(np.abs(truth), typical or 1.0)
    return _largest(np.where(same, 0.0, shares))


def _largest(differences: npt.NDArray[np.float64]) -> float:
    """NaN counts as infinitely far."""
    return float(np.nan_to_num(np.abs(differences), nan=np.inf, posinf=np.inf).max(initial=0.0))


def threshold_rows(
    pipeline: Any, contract: Contract, source: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Real rows with numbers moved onto the model's thresholds and their neighbours."""
    known = _thresholds(pipeline)

    def values(column: Column) -> list[Any] | None:
        if column.type not in {"long", "double"}:
            return None
        exact = known.get(column.name)
        if exact is None:
            present = source[column.name].dropna().to_numpy(np.float64)
            exact = np.quantile(present, np.linspace(0, 1, QUANTILES))
        single = exact.astype(np.float32)
        beside = [np.nextafter(single, np.float32(side)) for side in (-np.inf, np.inf)]
        close = [np.nextafter(exact, side) for side in (-np.inf, np.inf)]
        numbers = np.concatenate([exact, single, *beside, *close]).astype(np.float64)
        if column.type == "double":
            return list(numbers)
        return [int(n) for n in np.unique([np.floor(exact), np.ceil(exact)]) if abs(n) < 2**63]

    return _moved(contract, source, THRESHOLD_ROWS, values, rng)


def extreme_rows(
    contract: Contract, source: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Real rows with the oddest values that the contract lets through."""

    def values(column: Column) -> list[Any] | None:
        nulls: list[Any] = [None] if column.nullable else []
        match column.type:
            case "long":
                return [*ODD_INTEGERS]
            case "double":
                return [*ODD_NUMBERS, *([float("nan")] if column.nullable else [])]
            case "boolean":
                return [True, False, *nulls]
            case "string":
                known = column.categories or ()
                return [*ODD_STRINGS, *known, *(name.swapcase() for name in known[:20]), *nulls]
        return None

    return _moved(contract, source, EXTREME_ROWS, values, rng)


def _moved(
    contract: Contract,
    source: pd.DataFrame,
    rows: int,
    values: Any,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Rows drawn from the source, in which each column is replaced in a part of them."""
    drawn = source.iloc[rng.integers(len(source), size=rows)].reset_index(drop=True)
    replaced = {}
    for column in contract.columns:
        choices = values(column)
        if choices is None or not len(choices):
            continue
        old = drawn[column.name]
        new = pd.Series(rng.integers(len(choices), size=rows)).map(dict(enumerate(choices)))
        moved = rng.random(rows) < MOVED
        picked = [n if m else o for n, o, m in zip(new, old, moved, strict=True)]
        replaced[column.name] = pd.Series(picked, dtype=old.dtype)
    return drawn.assign(**replaced)


def _thresholds(pipeline: Any) -> dict[str, npt.NDArray[np.float64]]:
    """By number column: where the model's trees split it."""
    model = pipeline["model"]
    if isinstance(model, TransformedTargetRegressor):
        model = model.regressor_
    match model:
        case HistGradientBoostingClassifier() | HistGradientBoostingRegressor():
            ensemble = trees.of_boosting(model)
        case RandomForestClassifier() | RandomForestRegressor():
            ensemble = trees.of_forest(model)
        case _:
            return {}
    _, branch, names = pipeline["columns"].transformers_[0]
    if not isinstance(branch, str) and not isinstance(branch.steps[0][1], Numbers):
        return {}
    return {
        names[feature]: values
        for feature, values in trees.thresholds(ensemble)
        if feature < len(names)  # number columns come first
    }
