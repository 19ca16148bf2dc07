"""Numbers for the gates out of two models' answers on the same rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from registry.bootstrap import UndefinedScoreError, gained, scored
from registry.measurements import Calibration, ErrorQuantile, Quality, Slice, Slices
from registry.metrics import Answers, Metric, constant

GROUPS = 10  # of rows ordered by probability
SIMULATIONS = 200  # of perfect probabilities; their mean error is then known within a few percent
SEED = 2026


@dataclass(frozen=True)
class Contest:
    """A candidate's answers and, on the same rows, a champion's."""

    metric: Metric
    candidate: Answers
    champion: Answers | None
    incomparable: str | None = None
    """Why a champion that exists gave no answers."""


def quality(contest: Contest) -> Quality:
    """Score the candidate, the best constant answer and the champion."""
    metric, candidate, champion = contest.metric, contest.candidate, contest.champion
    baseline = constant(metric, candidate)
    return Quality(
        metric=metric.name,
        goal=metric.goal,
        candidate=scored(metric, candidate),
        baseline=metric.score(baseline),
        over_baseline=gained(metric, candidate, baseline),
        champion=None if champion is None else scored(metric, champion),
        over_champion=None if champion is None else gained(metric, candidate, champion),
        champion_over_baseline=_lead(metric, champion),
        incomparable=contest.incomparable,
    )


def slices(contest: Contest, table: pd.DataFrame, columns: Sequence[str]) -> Slices:
    """Score every group of rows for both models; groups without a score are left out."""
    if contest.champion is None:
        return Slices(groups=(), champion_over_baseline=None)
    groups = (
        group
        for column in columns
        if column in table
        for group in _groups(contest, column, table[column].astype(str))
    )
    return Slices(
        groups=tuple(groups), champion_over_baseline=_lead(contest.metric, contest.champion)
    )


def _groups(contest: Contest, column: str, values: "pd.Series[str]") -> Iterable[Slice]:
    metric, champion = contest.metric, contest.champion
    for value in sorted(values.unique()):
        rows = (values == value).to_numpy()
        if champion is None:
            return
        ours, theirs = contest.candidate.take(rows), champion.take(rows)
        try:
            gain = gained(metric, ours, theirs)
        except UndefinedScoreError:
            continue
        yield Slice(
            column=column,
            value=value,
            rows=int(rows.sum()),
            candidate=metric.score(ours),
            champion=metric.score(theirs),
            gain=gain,
        )


def _lead(metric: Metric, answers: Answers | None) -> float | None:
    """How far a model is ahead of the best constant answer."""
    if answers is None:
        return None
    return metric.gain(metric.score(answers), metric.score(constant(metric, answers)))


def calibration(answers: Answers) -> Calibration | None:
    """How far probabilities are from frequencies: two classes' second, else the answer's."""
    probability = answers.probability
    if probability is None:
        return None
    if probability.shape[1] == 2:
        claimed, happened = probability[:, 1], answers.actual == 1
    else:
        claimed, happened = probability.max(axis=1), answers.prediction == answers.actual
    groups = np.array_split(np.argsort(claimed, kind="stable"), min(GROUPS, len(claimed)))

    def error(outcome: np.ndarray) -> float:
        distances = [abs(claimed[g].mean() - outcome[g].mean()) * len(g) for g in groups]
        return float(sum(distances) / len(claimed))

    rng = np.random.default_rng(SEED)
    chance = [error(rng.random(len(claimed)) < claimed) for _ in range(SIMULATIONS)]
    return Calibration(error=error(happened), chance=float(np.mean(chance)))


def error_quantiles(
    contest: Contest, quantiles: Sequence[float]
) -> tuple[ErrorQuantile, ...] | None:
    """How large absolute errors are; None for classifiers."""
    if contest.candidate.probability is not None:
        return None
    return tuple(
        ErrorQuantile(
            quantile=quantile,
            candidate=_error(contest.candidate, quantile),
            champion=None if contest.champion is None else _error(contest.champion, quantile),
        )
        for quantile in quantiles
    )


def _error(answers: Answers, quantile: float) -> float:
    return float(np.quantile(np.abs(answers.prediction - answers.actual), quantile))
