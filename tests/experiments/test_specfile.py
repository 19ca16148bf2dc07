"""A wrong spec gets one line for each problem: where, what was found, what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.errors import ExperimentError
from experiments.specfile import find, read, shipped

GOOD: dict[str, Any] = {
    "name": "plans",
    "data": {"source": "plans.csv"},
    "target": "plan",
    "task": "multiclass",
    "split": {"kind": "stratified"},
    "metric": "accuracy",
    "candidates": {"lines": {"family": "linear"}, "trees": {"family": "boosting"}},
}
MISSING = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good spec with one place changed or left out."""
    spec: Any = yaml.safe_load(yaml.safe_dump(GOOD))
    *parents, last = path.split(".")
    place = spec
    for parent in parents:
        place = place.setdefault(parent, {})
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return dict(spec)


def refusal(folder: Path, spec: Any) -> str:
    """What is said about a spec, without the file's path."""
    path = folder / "plans.yaml"
    path.write_text(spec if isinstance(spec, str) else yaml.safe_dump(spec))
    with pytest.raises(ExperimentError) as refused:
        read(path)
    return str(refused.value).replace(f"{path}", "FILE")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("target", MISSING, "FILE: target: missing, and needed"),
        ("name", "My Plans", "FILE: name: found 'My Plans'; string should match pattern"),
        ("task", "multi", "task: found 'multi' (did you mean 'multiclass'?); allowed: regression"),
        ("task", "regression", "FILE: metric: found 'accuracy'; allowed for regression: rmse"),
        ("metric", "acuracy", "found 'acuracy' (did you mean 'accuracy'?); allowed for multiclass"),
        ("tagret", "x", "FILE: tagret: no such key (did you mean 'target'?); allowed: name"),
        ("data.sauce", "x", "FILE: data.sauce: no such key (did you mean 'source'?)"),
        ("data.source", "", "FILE: data.source: found ''; string should have at least 1"),
        ("split", {"fraction": 0.2}, "FILE: split.kind: missing, and needed: random, stratified"),
        ("split.kind", "randm", "split.kind: found 'randm' (did you mean 'random'?); allowed: ran"),
        ("split.fraction", 1.5, "FILE: split.fraction: found 1.5; input should be less than 1"),
        ("split.column", "x", "FILE: split.column: no such key; allowed: kind, fraction"),
        ("split", {"kind": "file"}, "FILE: split.source: missing, and needed"),
        ("cv.folds", 1, "FILE: cv.folds: found 1; input should be greater than or equal to 2"),
        ("cv.fold", 3, "FILE: cv.fold: no such key (did you mean 'folds'?); allowed: folds"),
        ("roles.number", ["a"], "FILE: roles.number: no such key (did you mean 'numeric'?)"),
        ("selection", "one-se", "FILE: selection: found 'one-se'"),
        ("seed", -1, "FILE: seed: found -1; input should be greater than or equal to 0"),
        ("candidates", {}, "FILE: candidates: found {}; dictionary should have at least 1 item"),
        (
            "candidates.lines.family",
            "liner",
            "candidates.lines.family: found 'liner' (did you mean 'linear'?); allowed: linear",
        ),
        (
            "candidates.trees.famly",
            "x",
            "candidates.trees.famly: no such key (did you mean 'family'?); allowed: family, space",
        ),
        (
            "candidates.trees.space.learning_rte",
            [0.1],
            "trees.space.learning_rte: no such parameter (did you mean 'learning_rate'?)",
        ),
        (
            "candidates.trees.space.max_iter",
            {"low": 1, "hgh": 2},
            "candidates.trees.space.max_iter.hgh: no such key (did you mean 'high'?)",
        ),
        (
            "candidates.trees.space.max_iter",
            {"low": 3, "high": 2},
            "FILE: candidates.trees.space.max_iter: found low 3; must be below high",
        ),
        (
            "candidates.trees.space.max_iter",
            {"low": 1, "high": 2},
            "FILE: candidates.trees.trials: missing, and needed to draw from a range",
        ),
        (
            "candidates.trees.space.max_iter",
            {"low": 0, "high": 2, "scale": "log"},
            "FILE: candidates.trees.space.max_iter: found low 0; a log scale needs > 0",
        ),
        (
            "candidates.trees.space.max_iter",
            [[1]],
            "candidates.trees.space.max_iter.0: found [1]; one number, string, true, false or",
        ),
        (
            "candidates.trees.space.max_iter",
            [],
            "FILE: candidates.trees.space.max_iter: found []; at least one value is needed",
        ),
        ("log_target", True, "FILE: log_target: found True; allowed for multiclass: False"),
        ("drop", ["plan"], "FILE: drop: column 'plan' already stands in target"),
        ("slices", ["plan"], "FILE: slices: found the target 'plan'; a feature or a dropped"),
        (
            "roles",
            {"numeric": ["a"], "text": ["a"]},
            "FILE: roles.text: column 'a' already stands in roles.numeric",
        ),
    ],
)
def test_a_wrong_spec_is_refused_line_by_line(
    tmp_path: Path, path: str, value: Any, said: str
) -> None:
    refused = refusal(tmp_path, changed(path, value))
    assert said in refused
    assert all(line.startswith("FILE: ") for line in refused.splitlines())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("name: [", "FILE line 1: not YAML", id="not YAML"),
        pytest.param("- a\n", "FILE: found ['a'], a mapping is needed", id="a list"),
        pytest.param("", "FILE: found None, a mapping is needed", id="empty"),
        pytest.param(
            "name: a1\ntask: binary\nname: b1\n",
            "FILE line 3: not YAML: 'name' stands here a second time",
            id="a key twice",
        ),
        pytest.param("a: &x [*x]", "FILE", id="an alias to itself"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    spec = changed("task", "multi") | {"metrics": "x"}
    assert len(refusal(tmp_path, spec).splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("house-price", "no experiment 'house-price' (did you mean 'house-prices'?); shipped: ho"),
        ("nothing/here.yaml", "there is no spec file nothing/here.yaml"),
        ("here.yml", "there is no spec file here.yml"),
    ],
)
def test_a_missing_spec_is_refused(name: str, said: str) -> None:
    with pytest.raises(ExperimentError, match=r"there is no") as refused:
        find(name)
    assert said in str(refused.value)


def test_paths_are_relative_to_the_spec(tmp_path: Path) -> None:
    spec = changed("split", {"kind": "file", "source": "later.parquet"})
    (tmp_path / "plans.yaml").write_text(yaml.safe_dump(spec))
    made = read(tmp_path / "plans.yaml")
    assert made.data.source == str(tmp_path / "plans.csv")
    assert made.split.model_dump()["source"] == str(tmp_path / "later.parquet")


@pytest.mark.parametrize("source", ["shop.tables:plans", "https://example.org/plans.csv"])
def test_functions_and_uris_stay_as_they_are(tmp_path: Path, source: str) -> None:
    (tmp_path / "plans.yaml").write_text(yaml.safe_dump(changed("data.source", source)))
    assert read(tmp_path / "plans.yaml").data.source == source


def test_yaml_numbers_and_single_values_are_taken(tmp_path: Path) -> None:
    text = yaml.safe_dump(changed("candidates.trees.space", "SPACE"))
    (tmp_path / "plans.yaml").write_text(text.replace("SPACE", "{tol: 1e-3, max_iter: [50]}"))
    space = read(tmp_path / "plans.yaml").candidates["trees"].space
    assert space == {"tol": (0.001,), "max_iter": (50,)}


@pytest.mark.parametrize(
    ("task", "metric", "split"),
    [("regression", "rmse", "random"), ("binary", "roc_auc", "stratified")],
)
def test_what_is_left_out_suits_the_task(
    tmp_path: Path, task: str, metric: str, split: str
) -> None:
    needed = {key: GOOD[key] for key in ("name", "data", "target")}
    (tmp_path / "plans.yaml").write_text(yaml.safe_dump({**needed, "task": task, "metric": metric}))
    made = read(tmp_path / "plans.yaml")
    assert made.split.kind == split
    assert {each.family for each in made.candidates.values()} == {
        *("linear", "forest", "boosting", "dummy")
    }


@pytest.mark.parametrize("name", shipped())
def test_shipped_specs_are_good(name: str) -> None:
    assert read(find(name)).name == name
