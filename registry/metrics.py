"""Scores of answers against the truth, weighted by row so that they can be bootstrapped quickly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Goal = Literal["higher", "lower"]
Scorer = Callable[[Floats], float]
"""From the weight of each row (how often a resample drew it) to the score; NaN where undefined."""

SMALLEST_PROBABILITY = 1e-15  # as scikit-learn clipped them; keeps the logarithm finite


@dataclass(frozen=True)
class Answers:
    """One model's answers beside the truth: numbers for regression, class codes for classifiers.

    `probability` is None for regression, else rows by classes; an actual code of -1 is a class the
    model does not know.
    """

    actual: Floats | Codes
    prediction: Floats | Codes
    probability: Floats | None = None

    def __len__(self) -> int:
        return len(self.actual)

    def take(self, rows: npt.NDArray[np.bool_]) -> "Answers":
        """The answers on some of the rows."""
        probability = None if self.probability is None else self.probability[rows]
        return Answers(self.actual[rows], self.prediction[rows], probability)


@dataclass(frozen=True)
class Metric:
    """A named score and its direction."""

    name: str
    goal: Goal
    scorer: Callable[[Answers], Scorer]

    def score(self, answers: Answers) -> float:
        """The score with every row counted once."""
        return self.scorer(answers)(np.ones(len(answers)))

    def gain(self, ours: float, theirs: float) -> float:
        """How much better ours is; negative when it is worse."""
        return ours - theirs if self.goal == "higher" else theirs - ours


def _mean(losses: Any, finish: Callable[[float], float] = float) -> Scorer:
    return lambda weights: finish(float(weights @ losses / weights.sum()))


def _rmse(answers: Answers) -> Scorer:
    return _mean((answers.prediction - answers.actual) ** 2.0, np.sqrt)


def _rmsle(answers: Answers) -> Scorer:
    with np.errstate(invalid="ignore"):
        difference = np.log1p(answers.prediction) - np.log1p(answers.actual)
    return _mean(difference**2.0, np.sqrt)


def _mae(answers: Answers) -> Scorer:
    return _mean(np.abs(answers.prediction - answers.actual).astype(np.float64))


def _r2(answers: Answers) -> Scorer:
    actual, residual = answers.actual, (answers.prediction - answers.actual) ** 2.0

    def score(weights: Floats) -> float:
        spread = weights @ (actual - weights @ actual / weights.sum()) ** 2.0
        return float(1 - weights @ residual / spread) if spread > 0 else float("nan")

    return score


def _accuracy(answers: Answers) -> Scorer:
    return _mean((answers.prediction == answers.actual).astype(np.float64))


def _log_loss(answers: Answers) -> Scorer:
    probability = _probability(answers)
    known = answers.actual >= 0
    chance = np.where(known, probability[np.arange(len(answers)), answers.actual], 0.0)
    return _mean(-np.log(np.clip(chance, SMALLEST_PROBABILITY, 1.0)))


def _confusion(answers: Answers) -> Callable[[Floats], npt.NDArray[Any]]:
    """Weights by actual and predicted class."""
    classes = int(max(answers.actual.max(), answers.prediction.max())) + 1
    # Actual code -1, a class the model doesn't know, has the last row to itself.
    cells = (answers.actual % (classes + 1)) * (classes + 1) + answers.prediction
    size = (classes + 1) ** 2
    return lambda weights: np.bincount(
        cells.astype(np.int64), weights=weights, minlength=size
    ).reshape(classes + 1, classes + 1)


def _balanced_accuracy(answers: Answers) -> Scorer:
    confusion = _confusion(answers)

    def score(weights: Floats) -> float:
        table = confusion(weights)
        support = table.sum(axis=1)
        seen = support > 0
        return float((np.diag(table)[seen] / support[seen]).mean())

    return score


def _f1_macro(answers: Answers) -> Scorer:
    confusion = _confusion(answers)

    def score(weights: Floats) -> float:
        table = confusion(weights)
        named = table.sum(axis=0) + table.sum(axis=1)
        seen = named > 0
        return float((2 * np.diag(table)[seen] / named[seen]).mean())

    return score


def _curve(answers: Answers, positive: int) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Weights of positives and negatives at each distinct score, highest score first."""
    score = _probability(answers)[:, positive]
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
    hit = (answers.actual == positive)[order]

    def sums(weights: Floats) -> tuple[Floats, Floats]:
        ordered = weights[order]
        return (
            np.add.reduceat(np.where(hit, ordered, 0.0), starts),
            np.add.reduceat(np.where(hit, 0.0, ordered), starts),
        )

    return sums


def _area(hits: Floats, misses: Floats) -> float:
    total = hits.sum() * misses.sum()
    above = np.cumsum(hits) - hits / 2
    return float(misses @ above / total) if total > 0 else float("nan")


def _precision(hits: Floats, misses: Floats) -> float:
    found = np.cumsum(hits)
    if found[-1] <= 0:
        return float("nan")
    answered = found + np.cumsum(misses)
    share = np.divide(found, answered, out=np.zeros_like(found), where=answered > 0)
    return float(hits @ share / found[-1])


def _ranking(area: Callable[[Floats, Floats], float]) -> Callable[[Answers], Scorer]:
    """The second class for two classes, the mean over classes (one against the rest) for more."""

    def scorer(answers: Answers) -> Scorer:
        classes = _probability(answers).shape[1]
        curves = [_curve(answers, k) for k in ([1] if classes == 2 else range(classes))]

        def score(weights: Floats) -> float:
            areas = np.array([area(*curve(weights)) for curve in curves])
            known = areas[~np.isnan(areas)]
            return float(known.mean()) if len(known) else float("nan")

        return score

    return scorer


def _probability(answers: Answers) -> Floats:
    if answers.probability is None:
        raise ValueError("this score needs probabilities")
    return answers.probability


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("rmse", "lower", _rmse),
        Metric("rmsle", "lower", _rmsle),
        Metric("mae", "lower", _mae),
        Metric("r2", "higher", _r2),
        Metric("accuracy", "higher", _accuracy),
        Metric("balanced_accuracy", "higher", _balanced_accuracy),
        Metric("f1_macro", "higher", _f1_macro),
        Metric("log_loss", "lower", _log_loss),
        Metric("roc_auc", "higher", _ranking(_area)),
        Metric("average_precision", "higher", _ranking(_precision)),
    )
}


def constant(metric: Metric, answers: Answers) -> Answers:
    """The best that one and the same answer for every row can do: the baseline to beat."""
    actual, rows = answers.actual, len(answers)
    if answers.probability is None:
        guesses = [float(np.mean(actual)), float(np.median(actual))]
        if actual.min() > -1:
            guesses.append(float(np.expm1(np.log1p(actual).mean())))
        made = [Answers(actual, np.full(rows, guess)) for guess in guesses]
        return max(made, key=lambda each: metric.gain(metric.score(each), 0.0))
    classes = answers.probability.shape[1]
    shares = np.bincount(actual[actual >= 0].astype(np.int64), minlength=classes) / rows
    return Answers(
        actual,
        np.full(rows, int(shares.argmax()), dtype=np.int64),
        np.tile(shares, (rows, 1)),
    )
