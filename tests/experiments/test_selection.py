"""The laws of choosing a winner."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.selection import Contender, Rule, loss, select
from registry.metrics import METRICS

HIGHER, LOWER = METRICS["roc_auc"], METRICS["rmsle"]


def contender(name: str, folds: list[float], size: int = 10, family: str = "linear") -> Contender:
    return Contender(name, family, tuple(folds), size, row_latency_ms=1.0)


scores = st.lists(st.floats(0.01, 1), min_size=4, max_size=4)
fields = st.lists(st.tuples(scores, st.integers(1, 1000)), min_size=1, max_size=6).map(
    lambda drawn: [contender(f"c{i}", folds, size) for i, (folds, size) in enumerate(drawn)]
)
metrics = st.sampled_from([HIGHER, LOWER])
rules = st.sampled_from(["best", "one-standard-error"])


@given(fields, metrics)
def test_best_is_the_best_mean(field: list[Contender], metric: object) -> None:
    selection = select(field, metric, "best")
    assert all(metric.gain(selection.winner.mean, each.mean) >= 0 for each in field)
    assert selection.winner is selection.ranking[0]


@given(fields, metrics)
def test_one_standard_error_never_loses_more_than_that(
    field: list[Contender], metric: object
) -> None:
    selection = select(field, metric, "one-standard-error")
    lost = loss(selection.winner, selection.best, metric)
    assert lost.mean <= lost.standard_error
    for each in field:
        if loss(each, selection.best, metric).tied:
            assert selection.winner.model_bytes <= each.model_bytes


@given(fields, metrics, rules, st.randoms())
def test_the_order_of_candidates_does_not_matter(
    field: list[Contender], metric: object, rule: Rule, random: object
) -> None:
    other = list(field)
    random.shuffle(other)
    assert select(field, metric, rule).ranking == select(other, metric, rule).ranking
    assert select(field, metric, rule).winner == select(other, metric, rule).winner


@given(fields, metrics, rules)
def test_a_candidate_that_is_worse_on_every_fold_never_takes_the_lead(
    field: list[Contender], metric: object, rule: Rule
) -> None:
    best = select(field, metric, rule).best
    sign = -1 if metric.goal == "higher" else 1
    worse = contender("worse", [fold + sign * 0.1 for fold in best.folds], size=1)
    assert select([*field, worse], metric, rule).winner.name != "worse"


@given(fields, metrics, rules)
def test_losses_are_of_the_ranking_and_grow(
    field: list[Contender], metric: object, rule: Rule
) -> None:
    losses = [each.mean for each in select(field, metric, rule).losses]
    assert losses[0] == 0
    assert all(a <= b or math.isclose(a, b, abs_tol=1e-12) for a, b in pairwise(losses))


@pytest.mark.parametrize(("rule", "winner"), [("best", "large"), ("one-standard-error", "small")])
def test_a_tie_goes_to_the_smaller_model(rule: Rule, winner: str) -> None:
    field = [
        contender("large", [0.90, 0.80, 0.85], size=1000),
        contender("small", [0.89, 0.81, 0.84], size=10),
        contender("smallest", [0.70, 0.60, 0.65], size=1),
    ]
    selection = select(field, HIGHER, rule)
    assert selection.winner.name == winner
    assert selection.finalists[0].name == winner
    assert len(selection.finalists) == 2


def test_paired_folds_tell_apart_what_means_and_spreads_do_not() -> None:
    """Folds differ more than the models do; fold by fold one is always better."""
    field = [
        contender("better", [0.92, 0.72, 0.82], size=1000),
        contender("worse", [0.90, 0.70, 0.80], size=10),
    ]
    assert select(field, HIGHER, "one-standard-error").winner.name == "better"


def test_a_dummy_does_not_win_by_being_small() -> None:
    field = [
        contender("model", [0.53, 0.6, 0.4], size=1000),
        contender("dummy", [0.5, 0.5, 0.5], size=1, family="dummy"),
    ]
    assert select(field, HIGHER, "one-standard-error").winner.name == "model"
