"""Folds, combinations, and what is said when a candidate cannot be fitted."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import cores, data, evaluate, search, specfile
from experiments.data import Rows
from experiments.errors import ExperimentError
from experiments.spec import Candidate, ExperimentSpec
from registry.metrics import METRICS


def spec(path: Path | str = "x", **changes: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "name": "test",
            "data": {"source": str(path)},
            "target": "y",
            "task": "binary",
            "split": {"kind": "random"},
            "metric": "accuracy",
            "cv": {"folds": 4},
            "candidates": {"it": {"family": "linear"}},
            "seed": 5,
            **changes,
        }
    )


def rows(count: int = 90) -> Rows:
    X = pd.DataFrame({"x": np.arange(count, dtype=float)})
    return Rows(X, np.arange(count) % 3 == 0, X[[]])


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_every_row_is_scored_once_and_never_by_what_learned_from_it(task: str) -> None:
    made = spec(task=task, metric="accuracy" if task == "binary" else "rmse")
    folds = search.folds(made, rows())
    assert len(folds) == 4
    assert sorted(np.concatenate([inside for _, inside in folds])) == list(range(90))
    assert all(not set(outside) & set(inside) for outside, inside in folds)
    again = search.folds(made, rows())
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))


def test_folds_of_a_time_split_go_forward() -> None:
    made = spec(split={"kind": "time", "column": "x"})
    assert all(outside.max() < inside.min() for outside, inside in search.folds(made, rows()))
    outside = np.arange(50)
    assert evaluate.part(made, outside, 0.1).tolist() == [45, 46, 47, 48, 49]


def test_a_list_space_is_searched_whole() -> None:
    candidate = Candidate.model_validate(
        {"family": "boosting", "space": {"max_iter": [1, 2], "max_leaf_nodes": [3, 4, 5]}}
    )
    found = [tuple(sorted(each.items())) for each in search.combinations(candidate, 0)]
    assert len(found) == len(set(found)) == 6


@given(
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["linear", "log"]),
    st.booleans(),
)
def test_drawn_values_are_inside_and_drawn_again_alike(
    trials: int, seed: int, scale: str, integer: bool
) -> None:
    candidate = Candidate.model_validate(
        {
            "family": "boosting",
            "space": {
                "learning_rate": {"low": 2, "high": 90, "scale": scale, "integer": integer},
                "max_iter": [1, 2],
            },
            "trials": trials,
        }
    )
    found = search.combinations(candidate, seed)
    assert len(found) == trials
    assert found == search.combinations(candidate, seed)
    for each in found:
        assert 2 <= each["learning_rate"] <= 90
        assert isinstance(each["learning_rate"], int if integer else float)


def test_trials_draw_from_lists_without_repeats() -> None:
    candidate = Candidate.model_validate(
        {"family": "boosting", "space": {"max_iter": list(range(1, 30))}, "trials": 20}
    )
    found = [each["max_iter"] for each in search.combinations(candidate, 1)]
    assert len(set(found)) == 20


def comparison(made: ExperimentSpec, workers: Any) -> search.Comparison:
    loaded = data.load(made)
    return search.Comparison(made, loaded, workers, search.folds(made, loaded.train))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    path = tmp_path / "table.csv"
    pd.DataFrame({"x": x, "y": np.where(x + rng.normal(size=200) > 0, "a", "b")}).to_csv(path)
    return path


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"C": -1}, "candidates.it: The 'C' parameter of LogisticRegression must be a float in"),
        ({"solver": "magic"}, "candidates.it: The 'solver' parameter of LogisticRegression must"),
    ],
    ids=str,
)
def test_a_parameter_that_scikit_learn_refuses(
    table: Path, space: dict[str, Any], said: str
) -> None:
    made = spec(table, candidates={"it": {"family": "linear", "space": space}})
    loaded = data.load(made)
    with pytest.raises(ExperimentError) as refused:
        search.fit(loaded.train, search.Job(made, "it", space, loaded))
    assert said in str(refused.value)


def test_trials_are_scored_on_all_cores_with_what_the_libraries_say(table: Path) -> None:
    made = spec(
        table,
        metric="log_loss",
        candidates={"it": {"family": "linear", "space": {"C": [1e-9, 1], "max_iter": 1}}},
    )
    loaded = data.load(made)
    with cores.holding(loaded.train) as workers:
        compared = comparison(made, workers)
        found = list(search.trials(compared, "it"))
    assert [trial.parameters["C"] for trial in found] == [1e-9, 1]
    assert search.best(found, METRICS["log_loss"]).parameters["C"] == 1
    assert all(len(trial.scores) == 4 for trial in found)
    assert any("failed to converge" in said for trial in found for said in trial.warnings)


def die(_: Rows) -> None:
    os._exit(9)


def test_a_worker_that_dies_is_one_clear_line() -> None:
    def ask() -> None:
        with cores.holding(rows()) as workers:
            list(workers.map(die, [()]))

    with pytest.raises(ExperimentError, match="a worker process died, mostly for lack of memory"):
        ask()


# --- what the project promises of its two examples ---


def test_house_prices_wins_with_at_most_what_is_promised() -> None:
    made = specfile.read(specfile.find("house-prices"))
    loaded = data.load(made)
    with cores.holding(loaded.train) as workers:
        compared = search.Comparison(made, loaded, workers, search.folds(made, loaded.train))
        tried = list(search.trials(compared, "boosting"))
    assert search.best(tried, compared.metric).mean <= 0.13


def test_income_reaches_what_is_promised_on_the_official_test_rows() -> None:
    made = specfile.read(specfile.find("income"))
    loaded = data.load(made)
    (parameters,) = search.combinations(made.candidates["boosting"], made.seed)
    with cores.holding(loaded.train) as workers:
        compared = search.Comparison(made, loaded, workers, ())
        ((pipeline, _),) = workers.map(search.fit, [(compared.job("boosting", parameters),)])
    scores = evaluate.hold_out(compared, pipeline).scores
    assert scores["roc_auc"] >= 0.925
    assert scores["accuracy"] >= 0.87
