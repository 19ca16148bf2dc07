"""Medians over rounds, ratios between contenders, and whether they are the ones promised."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.contenders import (
    ASSAY_ONNX,
    ASSAY_PYFUNC,
    BARE,
    STOCK,
    STOCK_ALONE,
    STOCK_GRPC,
    Contender,
)
from benchmarks.results import Case, Results

STOCKS = (STOCK, STOCK_ALONE)


class Figure(NamedTuple):
    """A value's median and range over rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Summarise the rounds' values."""
        return cls(median(values), min(values), max(values))


class Objective(NamedTuple):
    """A ratio of one contender to the best of others."""

    contender: Contender
    measure: str
    """A field of Measured in the case, or of Started without one."""
    case: Case | None
    others: Sequence[Contender]
    """Stock is measured with MLServer's defaults and without workers; the better one counts."""
    bound: float
    at_least: bool


def _one_row(way: str, connections: int) -> Case:
    return Case(way=way, rows=1, connections=connections)


RATE, P99 = "requests_per_second", "p99_ms"
OBJECTIVES = (
    Objective(ASSAY_ONNX, RATE, _one_row("REST", 1), STOCKS, 20, at_least=True),
    Objective(ASSAY_ONNX, RATE, _one_row("REST", 32), STOCKS, 25, at_least=True),
    Objective(ASSAY_ONNX, P99, _one_row("REST", 32), STOCKS, 1 / 20, at_least=False),
    Objective(ASSAY_ONNX, RATE, _one_row("REST", 1), (BARE,), 0.7, at_least=True),
    Objective(ASSAY_ONNX, RATE, _one_row("REST", 32), (BARE,), 0.7, at_least=True),
    Objective(ASSAY_ONNX, RATE, _one_row("gRPC", 1), (STOCK_GRPC,), 8, at_least=True),
    Objective(ASSAY_ONNX, RATE, _one_row("gRPC", 32), (STOCK_GRPC,), 8, at_least=True),
    Objective(ASSAY_PYFUNC, RATE, _one_row("REST", 1), STOCKS, 1, at_least=True),
    Objective(ASSAY_PYFUNC, RATE, _one_row("REST", 32), STOCKS, 5, at_least=True),
    Objective(ASSAY_ONNX, "memory_mb", None, STOCKS, 0.7, at_least=False),
    Objective(ASSAY_ONNX, "seconds", None, STOCKS, 0.5, at_least=False),
)


class Verdict(NamedTuple):
    """An objective, and the ratio that was measured."""

    objective: Objective
    against: str
    ratio: Figure

    @property
    def holds(self) -> bool:
        """Whether the median keeps the bound."""
        bound = self.objective.bound
        return self.ratio.median >= bound if self.objective.at_least else self.ratio.median <= bound


def values(results: Results, contender: str, measure: str, case: Case | None) -> list[float]:
    """A measure's values, in the order of rounds; none where the contender has no such case."""
    records = (
        results.started
        if case is None
        else [each for each in results.measured if each.case == case]
    )
    return [float(getattr(each, measure)) for each in records if each.contender == contender]


def fewest_and_most(results: Results) -> tuple[Case, Case]:
    """The cases of one row over REST with the fewest and the most connections."""
    counts = [m.case.connections for m in results.measured if m.case.way == "REST"]
    return _one_row("REST", min(counts)), _one_row("REST", max(counts))


def ratio(
    results: Results, contender: str, other: str, measure: str, case: Case | None
) -> Figure | None:
    """How many times the other's value, round by round; None where one was not measured."""
    ours = values(results, contender, measure, case)
    theirs = values(results, other, measure, case)
    if not ours or not theirs:
        return None
    return Figure.of([a / b for a, b in zip(ours, theirs, strict=True)])


def verdicts(results: Results) -> list[Verdict]:
    """Each objective whose contenders were measured."""
    found = []
    for objective in OBJECTIVES:
        ratios = [
            (figure, other.name)
            for other in objective.others
            for figure in [
                ratio(
                    results, objective.contender.name, other.name, objective.measure, objective.case
                )
            ]
            if figure is not None
        ]
        if ratios:
            hardest = min(ratios) if objective.at_least else max(ratios)
            found.append(Verdict(objective, hardest[1], hardest[0]))
    return found


def noise(results: Results) -> float:
    """The largest share of the server's core that other processes took in a timed window."""
    return max(each.others_busy for each in results.measured)


def failures(results: Results) -> dict[str, int]:
    """Requests that failed or were answered wrongly while timed, by contender with any."""
    counts: dict[str, int] = {}
    for each in results.measured:
        if each.failures:
            counts[each.contender] = counts.get(each.contender, 0) + each.failures
    return counts
