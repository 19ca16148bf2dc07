"""Tables as people have them: what is taken, what is refused and how that is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import contracts, data, roles
from experiments.columns import documents
from experiments.errors import ExperimentError
from experiments.spec import ExperimentSpec, Roles

ROWS = 60


def table() -> pd.DataFrame:
    """A bit of everything, three classes."""
    rng = np.random.default_rng(1)
    when = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.permutation(ROWS), unit="D")
    return pd.DataFrame(
        {
            "id": [f"c{index}" for index in range(ROWS)],
            "size": [None if i % 7 == 0 else i / 4 for i in range(ROWS)],
            "visits": rng.integers(0, 9, ROWS),
            "colour": ["red", "green", None, "blue"] * (ROWS // 4),
            "member": [True, False, None] * (ROWS // 3),
            "active": [True, False] * (ROWS // 2),
            "since": when.strftime("%Y-%m-%d"),
            "zip": [None if i % 9 == 0 else 1000 + i % 5 for i in range(ROWS)],
            "note": [f"came {i} times and left with {i} bags" for i in range(ROWS)],
            "plan": ["basic", "plus", "pro"] * (ROWS // 3),
        }
    )


def spec(folder: Path, made: pd.DataFrame | None = None, **changes: Any) -> ExperimentSpec:
    """A spec for the table, written as CSV."""
    path = folder / "plans.csv"
    (table() if made is None else made).to_csv(path, index=False)
    return ExperimentSpec.model_validate(
        {
            "name": "plans",
            "data": {"source": str(path)},
            "target": "plan",
            "task": "multiclass",
            "split": {"kind": "random"},
            "metric": "accuracy",
            "candidates": {"lines": {"family": "linear"}},
            **changes,
        }
    )


def test_roles_and_types_follow_from_the_values(tmp_path: Path) -> None:
    loaded = data.load(spec(tmp_path, roles={"categorical": ["zip"]}))
    found = {name: chosen.role for name, chosen in loaded.roles.items()}
    assert found == {
        "id": None,
        "size": "numeric",
        "visits": "numeric",
        "colour": "categorical",
        "member": "numeric",
        "active": "numeric",
        "since": "datetime",
        "zip": "categorical",
        "note": "text",
    }
    promised = {
        column.name: (column.type, column.nullable)
        for column in contracts.contract(loaded, "multiclass").columns
    }
    assert promised == {
        "size": ("double", True),
        "visits": ("long", False),
        "colour": ("string", True),
        "member": ("boolean", True),
        "active": ("boolean", False),
        "since": ("datetime", False),
        "zip": ("string", True),
        "note": ("string", False),
    }
    assert set(loaded.train.X["zip"].dropna()) == {"1000", "1001", "1002", "1003", "1004"}


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    made = spec(tmp_path)
    path = tmp_path / "plans.parquet"
    table().assign(since=lambda t: pd.to_datetime(t["since"])).to_parquet(path)
    also = made.model_copy(update={"data": made.data.model_copy(update={"source": str(path)})})
    ours, theirs = data.load(made), data.load(also)
    pd.testing.assert_frame_equal(ours.train.X, theirs.train.X)
    assert data.digest(ours.train) == data.digest(theirs.train)
    changed = ours.train.X.assign(visits=ours.train.X["visits"] + 1)
    assert data.digest(ours.train) != data.digest(
        data.Rows(changed, ours.train.y, ours.train.aside)
    )


def test_rows_without_a_target_are_left_out(tmp_path: Path) -> None:
    made = table()
    made.loc[:4, "plan"] = None
    loaded = data.load(spec(tmp_path, made))
    assert loaded.without_target == 5
    assert len(loaded.train) + len(loaded.holdout) == ROWS - 5


@pytest.mark.parametrize("kind", ["random", "stratified"])
def test_a_split_takes_every_row_once_and_the_same_rows_again(tmp_path: Path, kind: str) -> None:
    made = spec(tmp_path, split={"kind": kind, "fraction": 0.25}, roles={"categorical": ["id"]})
    one, other = data.load(made), data.load(made)
    assert list(one.holdout.X["id"]) == list(other.holdout.X["id"])
    together = [*one.train.X["id"], *one.holdout.X["id"]]
    assert len(one.holdout) == 15
    assert sorted(together) == sorted(table()["id"])
    if kind == "stratified":
        assert set(np.unique(one.holdout.y, return_counts=True)[1]) == {5}


def test_a_time_split_holds_out_the_latest(tmp_path: Path) -> None:
    made = spec(tmp_path, split={"kind": "time", "column": "since", "fraction": 0.2})
    loaded = data.load(made)
    assert loaded.train.X["since"].is_monotonic_increasing
    assert loaded.train.X["since"].max() < loaded.holdout.X["since"].min()


def test_a_test_table_gets_the_roles_and_types_of_the_training_table(tmp_path: Path) -> None:
    later = tmp_path / "later.csv"
    table().assign(visits=lambda t: t["visits"].where(t["visits"] > 3)).to_csv(later, index=False)
    loaded = data.load(spec(tmp_path, split={"kind": "file", "source": str(later)}))
    assert (len(loaded.train), len(loaded.holdout)) == (ROWS, ROWS)
    visits = contracts.contract(loaded, "multiclass").columns[1]
    assert (visits.type, visits.nullable) == ("double", True)


def test_slices_may_name_a_column_that_models_do_not_see(tmp_path: Path) -> None:
    loaded = data.load(spec(tmp_path, drop=["colour"], slices=["colour", "active"]))
    assert "colour" not in loaded.train.X
    assert list(loaded.holdout.aside.columns) == ["colour"]


def test_documents_are_what_a_client_can_send(tmp_path: Path) -> None:
    loaded = data.load(spec(tmp_path, split={"kind": "time", "column": "since"}))
    (row,) = documents(loaded.train.X.iloc[:1])
    assert row["since"] == "2025-01-01T00:00:00"
    assert {type(value) for value in row.values()} <= {str, int, float, bool, type(None)}


@pytest.mark.parametrize(
    ("values", "role"),
    [
        ([1, 2], "numeric"),
        ([1.5, None], "numeric"),
        ([True, None], "numeric"),
        (["a", "b"], "categorical"),
        (["2026-11-21", None], "datetime"),
        (["2026-11-21 10:00:00", "2026-11-21T10:00:00+02:00"], "datetime"),
        (["2026-11-41", "2026-11-21"], "categorical"),
        ([f"name {i}" for i in range(200)], None),
        ([f"n{i % 80}" for i in range(200)], "categorical"),
        ([f"the words of a sentence {i}" for i in range(200)], "text"),
        ([None, None], None),
    ],
    ids=str,
)
def test_auto(values: list[Any], role: str | None) -> None:
    assert roles.auto(pd.Series(values, name="x")).role == role


def test_a_mixture_of_types_is_not_guessed_at() -> None:
    with pytest.raises(ExperimentError, match="column 'x' holds int and str; give it a role"):
        roles.auto(pd.Series([1, "a"], name="x", dtype=object))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "paln"}, "target: the data has no column 'paln' (did you mean 'plan'?); it ha"),
        ({"drop": ["idd"]}, "drop: the data has no column 'idd' (did you mean 'id'?)"),
        ({"roles": {"text": ["nota"]}}, "roles.text: the data has no column 'nota' (did you mean"),
        ({"slices": ["sex"]}, "slices: the data has no column 'sex'; it has id, size, visits"),
        ({"split": {"kind": "time", "column": "t"}}, "split.column: the data has no column 't'"),
        ({"split": {"kind": "time", "column": "size"}}, "split.column: 'size' is missing in 9 row"),
        ({"split": {"kind": "random", "fraction": 0.01}}, "split.fraction: 0.01 of 60 rows is too"),
        ({"roles": {"numeric": ["colour"]}}, "numeric: column 'colour' holds 'red', which is no"),
        ({"roles": {"datetime": ["colour"]}}, "datetime: column 'colour' holds 'red'; ISO 8601 s"),
        ({"task": "binary"}, "target: column 'plan' has 3 classes; task binary needs 2"),
        (
            {"task": "regression", "metric": "rmse"},
            "target: column 'plan' holds 'basic', which is no number; task regression needs",
        ),
        ({"target": "size"}, "target: column 'size' holds 0.25; classes are strings, whole numb"),
        ({"cv": {"folds": 20}}, "fewer than the 20 folds; lower cv.folds, join classes or bring"),
        (
            {"target": "visits", "task": "regression", "metric": "rmse", "cv": {"folds": 19}},
            None,
        ),
    ],
    ids=str,
)
def test_what_a_spec_and_a_table_cannot_do_together(
    tmp_path: Path, changes: dict[str, Any], said: str | None
) -> None:
    if said is None:
        data.load(spec(tmp_path, **changes))
        return
    with pytest.raises(ExperimentError) as refused:
        data.load(spec(tmp_path, **changes))
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(plan="pro"), "'plan' has one value only, 'pro'; there is nothing to"),
        (lambda t: t.assign(plan=None), "'plan' has no values; there is nothing to learn"),
        (lambda t: t.head(9), "7 rows are too few for 5 folds; lower cv.folds or bring more data"),
        (lambda t: t.assign(plan=["x", *t["plan"][1:]]), "of class 'x', fewer than the 5 folds"),
        (lambda t: t[["plan", "id"]], "no column is left to learn from"),
        (lambda t: t.head(0), "target: column 'plan' has no values"),
    ],
    ids=["constant", "no target", "few rows", "rare class", "no features", "no rows"],
)
def test_what_a_table_cannot_teach(tmp_path: Path, change: Any, said: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        data.load(spec(tmp_path, change(table())))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,a\n1,2,3\n", "has column 'a' more than once; rename one"),
        ("", "No columns to parse"),
        ('a,plan\n"1', "EOF inside string"),
    ],
    ids=["a column twice", "empty", "torn"],
)
def test_a_broken_file(tmp_path: Path, text: str, said: str) -> None:
    made = spec(tmp_path)
    (tmp_path / "plans.csv").write_text(text)
    with pytest.raises(ExperimentError) as refused:
        data.load(made)
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.csv", "data.source: cannot read nowhere.csv: there is no such file"),
        ("no.such.module:plans", "cannot read no.such.module:plans: No module named 'no'"),
        ("os.path:nothing", "cannot read os.path:nothing: module 'posixpath' has no attribute"),
        ("os:getcwd", "cannot read os:getcwd: it returned str, a pandas DataFrame is needed"),
    ],
)
def test_a_source_that_is_none(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        data.load(spec(tmp_path, data={"source": source}))
    assert said in str(refused.value)


def test_reading_takes_pandas_options(tmp_path: Path) -> None:
    made = spec(tmp_path)
    (tmp_path / "plans.csv").write_text(
        "a;plan\n" + "".join(f"{'-' if i < 3 else i};{'xy'[i % 2]}\n" for i in range(40))
    )
    options = {"sep": ";", "na_values": ["-"]}
    read = made.data.model_copy(update={"read": options})
    loaded = data.load(made.model_copy(update={"data": read, "task": "binary"}))
    assert loaded.roles["a"].role == "numeric"
    assert loaded.train.X["a"].isna().sum() + loaded.holdout.X["a"].isna().sum() == 3


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([True, False], [False, True]),
        ([3, 1], [1, 3]),
        ([1.0, 0.0], [0, 1]),
        (["b", "a"], ["a", "b"]),
    ],
    ids=["boolean", "whole", "whole as float", "string"],
)
def test_classes_keep_their_type(tmp_path: Path, labels: list[Any], classes: list[Any]) -> None:
    made = table().assign(plan=labels * (ROWS // 2))
    loaded = data.load(spec(tmp_path, made, task="binary"))
    assert loaded.classes is not None
    assert loaded.classes.tolist() == classes
    assert type(loaded.classes.tolist()[0]) is type(classes[0])


def test_roles_by_hand_win() -> None:
    chosen = roles.choose(table(), Roles(text=("colour",)))
    assert chosen["colour"].role == "text"
