"""The compiled graph answers what the pipeline answers, for every family, wherever it is hard."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper
from threadpoolctl import threadpool_limits

from experiments import contracts, graph, parity, search
from experiments.data import Data, Rows
from experiments.nodes import NoGraph
from experiments.roles import cast, choose
from experiments.spec import ExperimentSpec, Roles
from registry.artifact import ParityCheck
from registry.contract import Contract, Task

ROWS = 600
FAR = float("inf")
SMALL = {"forest": {"n_estimators": 20}, "boosting": {"max_iter": 30}}
FAMILIES = ("linear", "forest", "boosting", "dummy")
TARGETS: dict[str, tuple[Task, Any]] = {
    "amounts": ("regression", lambda signal: signal * 1000),
    "small amounts": ("regression", lambda signal: signal / 1e6),
    "strings": ("binary", lambda signal: np.where(signal > 1, "yes", "no").astype(object)),
    "booleans": ("binary", lambda signal: signal > 1),
    "whole": ("multiclass", lambda signal: np.digitize(signal, [0.7, 1.4]) * 10),
    "names": ("multiclass", lambda s: np.array(["é", "b", "c"], object)[np.digitize(s, [0.7, 2])]),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """OpenMP's threads wait in a loop, which costs most where cores are few."""
    with threadpool_limits(1):
        yield


def table() -> pd.DataFrame:
    """Every type that a graph takes, with and without nulls, and a column of many values."""
    rng = np.random.default_rng(7)
    made = pd.DataFrame(
        {
            "2nd size": rng.gamma(2, 1, ROWS),
            "visits": rng.integers(-3, 12, ROWS),
            "rooms": rng.integers(0, 4, ROWS).astype(float),
            "member": rng.choice([True, False, None], ROWS),
            "active": rng.random(ROWS) < 0.5,
            "colour": rng.choice(["red", "green", "NA", None], ROWS),
            "street": [f"s{int(value)}" for value in rng.gamma(1, 60, ROWS)],
            "shade": rng.choice(["red", "dark", ""], ROWS),
            "far": rng.normal(0, 1e30, ROWS),
        }
    )
    made.loc[rng.random(ROWS) < 0.2, ["2nd size", "rooms"]] = np.nan
    return made


def trained(family: str, target: str, **changes: Any) -> tuple[Any, Contract, Data]:
    """A fitted pipeline of the family, and what it promises."""
    task, make = TARGETS[target]
    source = table()
    noise = np.random.default_rng(8).normal(0, 0.2, ROWS)
    signal = source["2nd size"].fillna(1) / 2 + source["active"] * 0.3 + noise
    y = np.asarray(make(signal.clip(lower=0).to_numpy()))
    spec = ExperimentSpec.model_validate(
        {
            "name": "test",
            "data": {"source": "x"},
            "target": "y",
            "task": task,
            "split": {"kind": "random"},
            "metric": "rmse" if task == "regression" else "accuracy",
            "candidates": {
                "it": {"family": family, "space": changes.pop("space", SMALL.get(family, {}))}
            },
            **changes,
        }
    )
    roles = choose(source, Roles(categorical=("street",)))
    X = cast(source, roles)
    rows = Rows(X, y, X[[]])
    classes = None if task == "regression" else np.unique(y)
    data = Data(rows, rows, roles, classes, without_target=0)
    (parameters,) = search.combinations(spec.candidates["it"], 0)
    pipeline, _ = search.fit(rows, search.Job(spec, "it", parameters, data))
    return pipeline, contracts.contract(data, task), data


def proof(pipeline: Any, contract: Contract, data: Data, made: onnx.ModelProto) -> Any:
    return parity.prove(pipeline, made, contract, {"training rows": data.train.X}, seed=1)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_alike(family: str, target: str) -> None:
    pipeline, contract, data = trained(family, target)
    found = proof(pipeline, contract, data, graph.compiled(pipeline, contract))
    assert found.engine == "onnx", found.reason
    assert sum(check.rows for check in found.checks[1:]) >= 10_000
    assert max(check.largest_difference for check in found.checks) < 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_a_log_target_is_part_of_the_graph(family: str) -> None:
    pipeline, contract, data = trained(family, "amounts", log_target=True)
    assert proof(pipeline, contract, data, graph.compiled(pipeline, contract)).engine == "onnx"


@pytest.mark.parametrize(
    ("family", "target", "space"),
    [
        ("boosting", "amounts", {"loss": "poisson"}),
        ("boosting", "amounts", {"loss": "absolute_error"}),
        ("boosting", "names", {"max_iter": 3, "max_leaf_nodes": 2}),
        ("boosting", "strings", {"min_samples_leaf": 590}),
        ("forest", "strings", {"max_depth": 1, "n_estimators": 10}),
        ("linear", "amounts", {"fit_intercept": False}),
        ("linear", "names", {"C": 1e-3}),
        ("linear", "strings", {"solver": "liblinear", "penalty": "l1"}),
        ("dummy", "amounts", {"strategy": "mean"}),
    ],
    ids=str,
)
def test_parameters_that_change_the_graph(family: str, target: str, space: dict[str, Any]) -> None:
    pipeline, contract, data = trained(family, target, space=space)
    assert proof(pipeline, contract, data, graph.compiled(pipeline, contract)).engine == "onnx"


def test_forests_break_ties_as_scikit_learn_does() -> None:
    """Pure leaves vote, and an even number of trees ties often; single precision flips these."""
    pipeline, contract, data = trained("forest", "strings", space={"n_estimators": 10})
    tied = pipeline.predict_proba(data.train.X)[:, 0] == 0.5
    assert tied.sum() > 3
    found = proof(pipeline, contract, data, graph.compiled(pipeline, contract))
    assert sum(check.label_flips for check in found.checks) == 0


def test_rare_values_share_a_place() -> None:
    pipeline, contract, _ = trained("linear", "amounts")
    encoder = pipeline["columns"].named_transformers_["words"][-1]
    assert encoder.infrequent_categories_[1] is not None, "street has too few values for this test"
    assert graph.compiled(pipeline, contract)


@pytest.mark.parametrize("family", ["forest", "boosting"])
def test_parity_sees_thresholds_that_are_off_by_a_rounding(family: str) -> None:
    pipeline, contract, data = trained(family, "strings")
    made = graph.compiled(pipeline, contract)
    worse = onnx.ModelProto.FromString(made.SerializeToString())
    for node in worse.graph.node:
        for attribute in node.attribute:
            if attribute.name == "nodes_splits":
                splits = np.nextafter(numpy_helper.to_array(attribute.t), np.inf)
                single = np.nextafter(splits.astype(np.float32), np.float32(np.inf))
                attribute.t.CopyFrom(numpy_helper.from_array(single.astype(np.float64)))
    found = proof(pipeline, contract, data, worse)
    assert found.engine == "pyfunc"
    assert "the graph differs on on and next to thresholds" in found.reason
    ordinary = found.checks[0]
    assert ordinary.label_flips == 0, "ordinary rows do not show it; that is why rows are made"


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("datetime", "ONNX takes no datetime, and column 'street' is one"),
        ("text", "ONNX has no exact words of text, and 'street' is text"),
    ],
)
def test_what_has_no_graph_says_why(role: str, said: str) -> None:
    source = table()[["visits", "street"]]
    if role == "datetime":
        source["street"] = "2026-11-21"
    roles = choose(source, Roles(**{role: ("street",)}))
    X = cast(source, roles)
    rows = Rows(X, np.arange(ROWS) % 2 == 0, X[[]])
    data = Data(rows, rows, roles, np.array([False, True]), without_target=0)
    spec = ExperimentSpec.model_validate(
        {
            "name": "test",
            "data": {"source": "x"},
            "target": "y",
            "task": "binary",
            "split": {"kind": "random"},
            "metric": "accuracy",
            "candidates": {"it": {"family": "linear"}},
        }
    )
    pipeline, _ = search.fit(rows, search.Job(spec, "it", {}, data))
    with pytest.raises(NoGraph) as reason:
        graph.compiled(pipeline, contracts.contract(data, "binary"))
    assert said in str(reason.value)


@pytest.mark.parametrize(
    ("answer", "truth", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([100.0, 2.0], [101.0, 101.0], 99 / 101),
        ([1e-9], [2e-9], 0.5),
        ([np.inf, 1.0], [np.inf, 1.0], 0.0),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.inf, 1.0], [1.0, 1.0], FAR),
        ([np.nan, 1.0], [1.0, 1.0], FAR),
        ([0.0, 10.0], [0.1, 10.0], 0.1 / 5.05),
    ],
    ids=str,
)
def test_relative_difference(answer: list[float], truth: list[float], difference: float) -> None:
    found = parity.relative(np.array(answer), np.array(truth))
    assert found == pytest.approx(difference)


@pytest.mark.parametrize(
    ("flips", "difference", "engine"),
    [(0, 1e-6, "onnx"), (0, 1.1e-6, "pyfunc"), (1, 0.0, "pyfunc"), (0, float("inf"), "pyfunc")],
)
def test_one_failed_check_is_enough(flips: int, difference: float, engine: str) -> None:
    _, contract, _ = trained("dummy", "strings")
    good = ParityCheck(name="good", rows=1, label_flips=0, largest_difference=0.0)
    other = ParityCheck(name="x", rows=1, label_flips=flips, largest_difference=difference)
    assert parity.verdict((good, other), contract).engine == engine


def test_a_graph_is_small_and_needs_no_node_a_column() -> None:
    pipeline, contract, _ = trained("boosting", "strings")
    assert len(graph.compiled(pipeline, contract).graph.node) <= 30
