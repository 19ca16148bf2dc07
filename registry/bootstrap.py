"""How sure a score and a difference of scores are: the paired bootstrap over hold-out rows."""

import math

import numpy as np

from registry.artifact import Interval
from registry.metrics import Answers, Floats, Metric

RESAMPLES = 1000  # the 2.5 % and 97.5 % quantiles of 1000 draws stand on 25 draws each
SEED = 2026  # the same rows are drawn for every model, which is what pairs them


class UndefinedScoreError(ValueError):
    """The score has no value on these rows, such as a ranking of one class."""


def scored(metric: Metric, answers: Answers) -> Interval:
    """One model's score."""
    return _interval(metric, metric.score(answers), _draw(metric, answers))


def gained(metric: Metric, ours: Answers, theirs: Answers) -> Interval:
    """How much better ours is on the same rows; negative where it is worse."""
    value = metric.gain(metric.score(ours), metric.score(theirs))
    sign = 1.0 if metric.goal == "higher" else -1.0
    return _interval(metric, value, sign * (_draw(metric, ours) - _draw(metric, theirs)))


def _draw(metric: Metric, answers: Answers) -> Floats:
    rng = np.random.default_rng(SEED)
    rows = len(answers)
    score = metric.scorer(answers)
    return np.array(
        [
            score(np.bincount(rng.integers(rows, size=rows), minlength=rows).astype(np.float64))
            for _ in range(RESAMPLES)
        ]
    )


def _interval(metric: Metric, value: float, draws: Floats) -> Interval:
    known = draws[np.isfinite(draws)]
    if not math.isfinite(value) or not len(known):
        raise UndefinedScoreError(f"{metric.name} is undefined on these rows")
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(value=value, low=float(low), high=float(high))
