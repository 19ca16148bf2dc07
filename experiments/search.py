"""Cross-validates a candidate's parameters on all cores, and fits it on the best of them."""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import KFold, ParameterGrid, StratifiedKFold, TimeSeriesSplit

from experiments import answers, pipelines
from experiments.cores import Cores
from experiments.data import Data, Rows
from experiments.errors import ExperimentError
from experiments.spec import Candidate, ExperimentSpec, Range, TimeSplit
from registry.metrics import METRICS, Metric

Parameters = Mapping[str, Any]
Positions = npt.NDArray[np.int64]
Fold = tuple[Positions, Positions]
"""The rows outside, to learn from, and the rows inside, to score on."""


@dataclass(frozen=True)
class FoldScore:
    """One fit on the rows outside a fold, scored on the rows inside."""

    score: float
    fit_seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One combination of parameters, scored on every fold."""

    parameters: Parameters
    folds: tuple[FoldScore, ...]
    run_id: str = ""
    """The child run that keeps it."""

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """Fold by fold; the folds are the same rows for every candidate."""
        return np.array([fold.score for fold in self.folds])

    @property
    def mean(self) -> float:
        """The score to compare by."""
        return float(self.scores.mean())

    @property
    def spread(self) -> float:
        """Standard deviation over the folds."""
        return float(self.scores.std(ddof=1))

    @property
    def standard_error(self) -> float:
        """Of the mean, as if the folds were independent."""
        return self.spread / math.sqrt(len(self.folds))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the libraries said, each thing once."""
        return tuple(dict.fromkeys(said for fold in self.folds for said in fold.warnings))

    @property
    def fit_seconds(self) -> float:
        """Mean over the folds, each on one core."""
        return float(np.mean([fold.fit_seconds for fold in self.folds]))


@dataclass(frozen=True)
class Comparison:
    """What all candidates are compared on."""

    spec: ExperimentSpec
    data: Data
    cores: Cores
    folds: tuple[Fold, ...]
    """The same rows for every candidate, so that their scores can be paired."""

    @property
    def metric(self) -> Metric:
        """What decides."""
        return METRICS[self.spec.metric]

    def job(self, name: str, parameters: Parameters) -> "Job":
        """One candidate with chosen parameters."""
        return Job(self.spec, name, parameters, self.data)


def folds(spec: ExperimentSpec, train: Rows) -> tuple[Fold, ...]:
    """Forward in time where the split is; else at random, each class in its share."""
    if isinstance(spec.split, TimeSplit):
        return tuple(TimeSeriesSplit(spec.cv.folds).split(train.X))
    kind = KFold if spec.task == "regression" else StratifiedKFold
    y = train.y.astype(str) if spec.task != "regression" else train.y
    return tuple(kind(spec.cv.folds, shuffle=True, random_state=spec.seed).split(train.X, y))


def combinations(candidate: Candidate, seed: int) -> list[Parameters]:
    """Every combination of the space, or as many as `trials` says, drawn without repeats."""
    ranges = {k: v for k, v in candidate.space.items() if isinstance(v, Range)}
    lists = {k: list(v) for k, v in candidate.space.items() if not isinstance(v, Range)}
    grid: Sequence[Parameters] = ParameterGrid(lists)
    if candidate.trials is None:
        return list(grid)
    rng = np.random.default_rng(seed)
    if not ranges:
        chosen = rng.permutation(len(grid))[: candidate.trials]
        return [grid[int(index)] for index in sorted(chosen)]
    return [
        {**grid[int(rng.integers(len(grid)))], **{k: _draw(v, rng) for k, v in ranges.items()}}
        for _ in range(candidate.trials)
    ]


def _draw(given: Range, rng: np.random.Generator) -> float | int:
    if given.scale == "log":
        drawn = math.exp(rng.uniform(math.log(given.low), math.log(given.high)))
    else:
        drawn = rng.uniform(given.low, given.high)
    return round(drawn) if given.integer else float(f"{drawn:.4g}")


def trials(comparison: Comparison, name: str) -> Iterator[Trial]:
    """Each combination of the candidate's parameters as its folds come in."""
    spec = comparison.spec
    chosen = combinations(spec.candidates[name], spec.seed)
    jobs = [comparison.job(name, parameters) for parameters in chosen]
    calls = [(job, fold) for job in jobs for fold in comparison.folds]
    scores = comparison.cores.map(score_fold, calls)
    for parameters in chosen:
        yield Trial(parameters, tuple(next(scores) for _ in comparison.folds))


def best(tried: Sequence[Trial], metric: Metric) -> Trial:
    """The trial with the best mean; the first of equals."""
    return max(tried, key=lambda trial: metric.gain(trial.mean, 0.0))


def fit(rows: Rows, job: "Job") -> tuple[Any, float]:
    """A job's pipeline fitted on all rows, and the seconds it took."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the folds have said them
        return job.fit(rows)


class Job:
    """One candidate with chosen parameters, small enough to send to a worker."""

    def __init__(self, spec: ExperimentSpec, name: str, parameters: Parameters, data: Data) -> None:
        self.name = name
        self.metric = spec.metric
        self.classes = data.classes
        family = spec.candidates[name].family
        self.pipeline = self._checked(lambda: pipelines.build(spec, family, parameters, data.roles))

    def fit(self, rows: Rows) -> tuple[Any, float]:
        """The pipeline fitted on the rows, and the seconds it took."""
        start = time.perf_counter()
        fitted = self._checked(lambda: self.pipeline.fit(rows.X, rows.y))
        return fitted, time.perf_counter() - start

    def _checked(self, act: Callable[[], Any]) -> Any:
        """scikit-learn's own words for a parameter or rows that it refuses."""
        try:
            return act()
        except (ValueError, TypeError) as error:
            first = str(error).strip().splitlines()[0]
            raise ExperimentError(f"candidates.{self.name}: {first}") from error


def score_fold(rows: Rows, job: Job, fold: Fold) -> FoldScore:
    """Fit on the rows outside the fold, score on the rows inside."""
    outside, inside = fold
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted, seconds = job.fit(rows.take(outside))
        score = METRICS[job.metric].score(answers.ask(fitted, rows.take(inside), job.classes))
    if not math.isfinite(score):
        raise ExperimentError(f"candidates.{job.name}: {job.metric} is undefined on a fold")
    said = dict.fromkeys(_first_line(each) for each in caught if _matters(each))
    return FoldScore(score, seconds, tuple(said))


def _matters(warning: warnings.WarningMessage) -> bool:
    """Values that a fold has not seen are what cross-validation is for."""
    return issubclass(warning.category, UserWarning) and "unknown categories" not in str(
        warning.message
    )


def _first_line(warning: warnings.WarningMessage) -> str:
    return str(warning.message).strip().splitlines()[0]
