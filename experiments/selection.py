"""Which candidate wins, and why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from registry.metrics import Metric

Rule = Literal["best", "one-standard-error"]


@dataclass(frozen=True)
class Contender:
    """A candidate's best trial and what it costs to run."""

    name: str
    family: str
    folds: tuple[float, ...]
    """Scores fold by fold, on the same rows as every other contender's."""
    model_bytes: int
    row_latency_ms: float

    @property
    def mean(self) -> float:
        """The cross-validated score."""
        return float(np.mean(self.folds))


@dataclass(frozen=True)
class Loss:
    """How much worse than the best a contender is, over paired folds."""

    mean: float
    standard_error: float

    @property
    def tied(self) -> bool:
        """Within one standard error of the best."""
        return self.mean <= self.standard_error


@dataclass(frozen=True)
class Selection:
    """The contenders from best to worst score, and the one that wins."""

    ranking: tuple[Contender, ...]
    losses: tuple[Loss, ...]
    winner: Contender
    rule: Rule

    @property
    def best(self) -> Contender:
        """The one with the best score."""
        return self.ranking[0]

    @property
    def finalists(self) -> tuple[Contender, ...]:
        """The winner and the best of the others: they alone meet the held-out rows."""
        others = [each for each in self.ranking if each is not self.winner]
        return (self.winner, *others[:1])


def select(contenders: Sequence[Contender], metric: Metric, rule: Rule) -> Selection:
    """Rank by mean score; with one-standard-error the smallest of those tied with the best wins.

    The smallest model is the simplest one that says the same, and mostly the fastest as well.
    A dummy is there to be beaten: it wins only when nothing beats it.
    """
    ranking = sorted(contenders, key=lambda each: (-metric.gain(each.mean, 0.0), each.name))
    losses = tuple(loss(each, ranking[0], metric) for each in ranking)
    winner = ranking[0]
    if rule == "one-standard-error" and winner.family != "dummy":
        tied = [
            each
            for each, lost in zip(ranking, losses, strict=True)
            if lost.tied and each.family != "dummy"
        ]
        winner = min(tied, key=lambda each: each.model_bytes)  # the better one of equals
    return Selection(tuple(ranking), losses, winner, rule)


def loss(contender: Contender, best: Contender, metric: Metric) -> Loss:
    """Mean and standard error of the fold-by-fold differences to the best."""
    gains = zip(best.folds, contender.folds, strict=True)
    differences = np.array([metric.gain(ours, theirs) for ours, theirs in gains])
    spread = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return Loss(float(differences.mean()), spread)
