"""Scores, their intervals and what columns tell, against scikit-learn and by their laws."""

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from registry import leaks, statistics
from registry.bootstrap import UndefinedScoreError, gained, scored
from registry.metrics import METRICS, Answers, constant
from registry.statistics import Contest

RNG = np.random.default_rng(7)
ROWS = 500
PRICE = np.exp(RNG.normal(5, 0.5, ROWS))
GUESS = PRICE * np.exp(RNG.normal(0, 0.2, ROWS))
REGRESSION = Answers(PRICE, GUESS)


def classified(classes: int, rows: int = ROWS) -> Answers:
    actual = RNG.integers(classes, size=rows)
    raw = (
        RNG.random((rows, classes)).round(2) + 0.01 + (np.arange(classes) == actual[:, None]) * 0.4
    )
    probability = raw / raw.sum(axis=1, keepdims=True)
    return Answers(actual, probability.argmax(axis=1), probability)


TWO, FOUR = classified(2), classified(4)


def one_against_rest(answers: Answers) -> float:
    hits = np.eye(answers.probability.shape[1])[answers.actual]
    return float(reference.average_precision_score(hits, answers.probability))


CASES = {
    "rmse": (REGRESSION, lambda a: reference.root_mean_squared_error(a.actual, a.prediction)),
    "rmsle": (REGRESSION, lambda a: reference.root_mean_squared_log_error(a.actual, a.prediction)),
    "mae": (REGRESSION, lambda a: reference.mean_absolute_error(a.actual, a.prediction)),
    "r2": (REGRESSION, lambda a: reference.r2_score(a.actual, a.prediction)),
    "accuracy": (FOUR, lambda a: reference.accuracy_score(a.actual, a.prediction)),
    "balanced_accuracy": (
        FOUR,
        lambda a: reference.balanced_accuracy_score(a.actual, a.prediction),
    ),
    "f1_macro": (FOUR, lambda a: reference.f1_score(a.actual, a.prediction, average="macro")),
    "log_loss": (FOUR, lambda a: reference.log_loss(a.actual, a.probability)),
    "roc_auc": (TWO, lambda a: reference.roc_auc_score(a.actual, a.probability[:, 1])),
    "average_precision": (
        TWO,
        lambda a: reference.average_precision_score(a.actual, a.probability[:, 1]),
    ),
    "roc_auc of four": (
        FOUR,
        lambda a: reference.roc_auc_score(a.actual, a.probability, multi_class="ovr"),
    ),
    "average_precision of four": (FOUR, one_against_rest),
}


@pytest.mark.parametrize("case", CASES)
def test_scores_are_scikit_learns(case: str) -> None:
    answers, score = CASES[case]
    assert METRICS[case.split(maxsplit=1)[0]].score(answers) == pytest.approx(
        score(answers), rel=1e-12
    )


@pytest.mark.parametrize("case", CASES)
def test_weights_are_repetitions(case: str) -> None:
    """A row counted three times scores as the row written three times: the bootstrap's shortcut."""
    answers, _ = CASES[case]
    weights = RNG.integers(0, 4, len(answers))
    repeated = Answers(
        np.repeat(answers.actual, weights),
        np.repeat(answers.prediction, weights),
        None if answers.probability is None else np.repeat(answers.probability, weights, axis=0),
    )
    metric = METRICS[case.split(maxsplit=1)[0]]
    weighted = metric.scorer(answers)(weights.astype(float))
    assert weighted == pytest.approx(metric.score(repeated), rel=1e-9)


def test_every_metric_has_a_case() -> None:
    assert {case.split()[0] for case in CASES} == set(METRICS)


def test_unknown_class_is_always_wrong() -> None:
    answers = Answers(np.array([-1, 0, 1]), np.array([1, 0, 1]), np.eye(2)[[1, 0, 1]])
    assert METRICS["accuracy"].score(answers) == pytest.approx(2 / 3)
    assert METRICS["balanced_accuracy"].score(answers) == pytest.approx(2 / 3)
    assert METRICS["log_loss"].score(answers) > 10


@pytest.mark.parametrize("name", ["rmse", "rmsle", "mae", "roc_auc", "accuracy", "log_loss"])
def test_constant_is_beaten_and_beats_others(name: str) -> None:
    metric = METRICS[name]
    answers = REGRESSION if name in {"rmse", "rmsle", "mae"} else TWO
    baseline = constant(metric, answers)
    assert gained(metric, answers, baseline).low > 0
    other = Answers(
        answers.actual,
        np.full(ROWS, answers.prediction[0]),
        None if answers.probability is None else np.tile([0.1, 0.9], (ROWS, 1)),
    )
    assert metric.gain(metric.score(baseline), metric.score(other)) >= 0


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 95 % intervals around the mean of 200 draws, 95 % hold the true mean."""
    rng = np.random.default_rng(3)
    metric = METRICS["mae"]
    held = 0
    for _ in range(100):
        interval = scored(metric, Answers(np.zeros(200), rng.exponential(1.0, 200)))
        held += interval.low <= 1.0 <= interval.high
    assert 88 <= held <= 100


def test_one_class_has_no_ranking() -> None:
    answers = Answers(
        np.zeros(50, dtype=int), np.zeros(50, dtype=int), np.tile([0.9, 0.1], (50, 1))
    )
    with pytest.raises(UndefinedScoreError, match="roc_auc is undefined"):
        scored(METRICS["roc_auc"], answers)


errors = arrays.arrays(np.float64, 60, elements=st.floats(-50, 50))


@given(errors, arrays.arrays(np.float64, 60, elements=st.floats(0, 20)))
def test_worse_on_every_row_gains_less(error: np.ndarray, more: np.ndarray) -> None:
    """The law behind the gates: farther off on every row is never scored better, at any bound."""
    actual = np.full(60, 100.0)
    champion = Answers(actual, actual + 10)
    near = Answers(actual, actual + error)
    far = Answers(actual, actual + error + np.sign(error) * more)
    for name in ("rmse", "mae"):
        one, other = (gained(METRICS[name], each, champion) for each in (near, far))
        assert one.value >= other.value - 1e-9
        assert one.low >= other.low - 1e-9
        assert one.high >= other.high - 1e-9


@given(errors)
def test_nothing_is_gained_over_itself(error: np.ndarray) -> None:
    answers = Answers(np.zeros(60), error)
    gain = gained(METRICS["mae"], answers, answers)
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)


TARGET = np.exp(RNG.normal(0, 1, 300))
LEAKS = {
    "a copy": pd.Series(TARGET),
    "another unit": pd.Series(TARGET * 0.92).round(2),
    "its logarithm": pd.Series(np.log(TARGET)),
    "a little noise": pd.Series(TARGET * RNG.uniform(0.99, 1.01, 300)),
    "as text": pd.Series(TARGET).astype(str),
    "as dates": pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(TARGET * 100, unit="D")),
    "with gaps": pd.Series(np.where(np.arange(300) % 50 == 0, np.nan, TARGET)),
}
HONEST = {
    "a strong cause": pd.Series(np.log(TARGET) + RNG.normal(0, 0.4, 300)),
    "noise": pd.Series(RNG.normal(size=300)),
    "an identifier": pd.Series([f"id-{i}" for i in range(300)]),
    "a constant": pd.Series(["x"] * 300),
    "all null": pd.Series([None] * 300, dtype="float64"),
}


@pytest.mark.parametrize("case", LEAKS)
def test_leak_is_seen(case: str) -> None:
    assert leaks.strength(LEAKS[case], TARGET, regression=True) > 0.97


@pytest.mark.parametrize("case", HONEST)
def test_honest_column_is_let_through(case: str) -> None:
    assert leaks.strength(HONEST[case], TARGET, regression=True) < 0.9


@pytest.mark.parametrize(
    ("column", "least", "most"),
    [
        (lambda y: pd.Series(y).map({0: "<=50K", 1: ">50K"}), 0.999, 1),
        (lambda y: pd.Series(y == 1), 0.999, 1),
        (lambda y: pd.Series(np.where(RNG.random(len(y)) < 0.3, 1 - y, y)), 0.2, 0.6),
        (lambda y: pd.Series(RNG.random(len(y))), 0, 0.1),
    ],
    ids=["label as text", "as boolean", "wrong three times in ten", "noise"],
)
def test_leak_of_classes(column: object, least: float, most: float) -> None:
    y = RNG.integers(0, 2, 2000)
    assert least <= leaks.strength(column(y), y, regression=False) <= most


def test_calibration_sees_boasting_only() -> None:
    chance = RNG.uniform(0, 1, 4000)
    actual = (RNG.random(4000) < chance).astype(int)
    honest = statistics.calibration(_binary(actual, chance))
    boasting = statistics.calibration(_binary(actual, np.where(chance > 0.5, 0.99, 0.01)))
    assert honest.error - honest.chance < 0.01
    assert boasting.error - boasting.chance > 0.1


def _binary(actual: np.ndarray, chance: np.ndarray) -> Answers:
    return Answers(actual, (chance > 0.5).astype(int), np.column_stack([1 - chance, chance]))


def test_slices_name_groups_and_skip_those_without_a_score() -> None:
    table = pd.DataFrame({"sex": np.where(np.arange(ROWS) < 250, "f", "m"), "all": "one"})
    table.loc[0, "sex"] = "alone"
    contest = Contest(METRICS["roc_auc"], TWO, TWO)
    found = statistics.slices(contest, table, ["sex", "all", "no such column"])
    assert [(group.column, group.value) for group in found.groups] == [
        ("sex", "f"),
        ("sex", "m"),
        ("all", "one"),
    ]
    assert sum(group.rows for group in found.groups) == 249 + 250 + 500
