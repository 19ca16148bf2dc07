"""What there is to know about the finalists, beyond their cross-validated scores."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from experiments import answers
from experiments.answers import Ask
from experiments.data import Rows
from experiments.search import Comparison, Positions, Trial, score_fold
from experiments.spec import ExperimentSpec, TimeSplit
from experiments.specfile import metrics_of
from registry.artifact import Interval
from registry.bootstrap import UndefinedScoreError, scored
from registry.metrics import METRICS, Answers

IMPORTANCE_ROWS = 1000  # permuting each column of more says the same and takes longer
IMPORTANCE_REPEATS = 3
LEARNING_SHARES = (0.1, 0.25, 0.5)  # of the rows outside a fold; cross-validation has the whole
LEARNING_FOLDS = 3
LATENCY_CALLS = 15


@dataclass(frozen=True)
class Held:
    """One finalist on the held-out rows."""

    answers: Answers
    interval: Interval
    """The spec's metric with its bootstrap interval."""
    scores: Mapping[str, float]
    """Every metric of the task."""


def hold_out(comparison: Comparison, pipeline: Any) -> Held:
    """Score a finalist once on the rows that nothing was learned from."""
    spec, data = comparison.spec, comparison.data
    given = answers.ask(pipeline, data.holdout, data.classes)
    try:
        interval = scored(comparison.metric, given)
    except UndefinedScoreError:
        interval = Interval(value=math.nan, low=math.nan, high=math.nan)
    scores = {name: METRICS[name].score(given) for name in metrics_of(spec.task)}
    return Held(given, interval, {k: v for k, v in scores.items() if math.isfinite(v)})


def row_latency_ms(pipeline: Any, rows: Rows) -> float:
    """What one row costs in scikit-learn, the median of some calls."""
    one = rows.X.iloc[:1]
    times = []
    for _ in range(LATENCY_CALLS):
        start = time.perf_counter()
        pipeline.predict(one)
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1000)


@dataclass(frozen=True)
class LearningCurve:
    """Scores by the number of rows learned from, one row a size and one column a fold."""

    rows: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]


def learning_curve(comparison: Comparison, name: str, trial: Trial) -> LearningCurve:
    """Fits on growing shares of the rows outside a fold, each scored on the rows inside."""
    job = comparison.job(name, trial.parameters)
    used = comparison.folds[-LEARNING_FOLDS:]  # folds that go forward in time grow
    calls = [
        (job, (part(comparison.spec, outside, share), inside))
        for share in LEARNING_SHARES
        for outside, inside in used
    ]
    scores = [result.score for result in comparison.cores.map(score_fold, calls)]
    scores += [fold.score for fold in trial.folds[-LEARNING_FOLDS:]]
    sizes = [round(len(used[0][0]) * share) for share in (*LEARNING_SHARES, 1.0)]
    table = np.reshape(scores, (len(sizes), len(used)))
    return LearningCurve(tuple(sizes), tuple(tuple(row) for row in table.tolist()))


def part(spec: ExperimentSpec, outside: Positions, share: float) -> Positions:
    """A share of the rows outside a fold: the latest ones where time matters."""
    count = max(2, round(len(outside) * share))
    if isinstance(spec.split, TimeSplit):
        return outside[-count:]
    return np.random.default_rng(spec.seed).permutation(outside)[:count]


def importance(comparison: Comparison, ask: Ask) -> pd.DataFrame:
    """How much the score suffers when one column's values are shuffled, most important first."""
    metric, held = comparison.metric, comparison.data.holdout
    rng = np.random.default_rng(comparison.spec.seed)
    count = min(len(held), IMPORTANCE_ROWS)
    rows = held.take(rng.permutation(len(held))[:count])
    intact = metric.score(ask(rows))
    repeated = rows.take(np.tile(np.arange(count), IMPORTANCE_REPEATS))
    repeat = np.arange(len(repeated)) // count
    table = []
    for column in rows.X.columns:
        orders = [rng.permutation(count) for _ in range(IMPORTANCE_REPEATS)]
        values = rows.X[column].iloc[np.concatenate(orders)].reset_index(drop=True)
        given = ask(Rows(repeated.X.assign(**{column: values}), repeated.y, repeated.aside))
        scores = [metric.score(given.take(repeat == index)) for index in range(IMPORTANCE_REPEATS)]
        lost = [metric.gain(intact, score) for score in scores]
        table.append((column, float(np.mean(lost)), float(np.std(lost))))
    frame = pd.DataFrame(table, columns=["column", "importance", "spread"])
    return frame.sort_values("importance", ascending=False, ignore_index=True)
