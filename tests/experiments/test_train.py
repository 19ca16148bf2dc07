"""What a training run leaves in a real store."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.entities import Run

from experiments.specfile import find, read
from registry import versions
from registry.artifact import Artifact
from tests.conftest import SPECS, Store


def parent(store: Store) -> Run:
    client = store.client()
    version = versions.resolve(client, store.name, alias=versions.CANDIDATE)
    return client.get_run(version.run_id)


def children(store: Store) -> dict[str, Run]:
    run = parent(store)
    query = f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    found = store.client().search_runs([run.info.experiment_id], query)
    return {each.data.params["candidate"]: each for each in found}


def artifact(store: Store, folder: Path) -> Artifact:
    client = store.client()
    version = versions.resolve(client, store.name, alias=versions.CANDIDATE)
    return versions.download(client, version, folder)


@pytest.fixture(params=["house", "income"])
def store(request: pytest.FixtureRequest, restored_mlflow: None) -> Store:
    return request.getfixturevalue(f"{request.param}_store")


def test_the_parent_run_says_what_went_in(store: Store) -> None:
    run = parent(store)
    spec = read(SPECS / f"{store.name}.yaml")
    assert run.info.status == "FINISHED"
    assert run.data.params["target"] == spec.target
    assert json.loads(run.data.tags["assay.slices"]) == list(spec.slices)
    assert len(run.data.tags["mlflow.source.git.commit"]) == 40
    assert run.data.tags["assay.git_dirty"] in {"true", "false"}
    inputs = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
    assert set(inputs) == {"training", "held out"}
    assert len({each.digest for each in inputs.values()}) == 2


def test_every_candidate_has_a_run_with_the_same_metrics(store: Store) -> None:
    runs = children(store)
    spec = read(SPECS / f"{store.name}.yaml")
    assert set(runs) == set(spec.candidates)
    for run in runs.values():
        assert run.info.status == "FINISHED"
        assert {
            *("cv_mean", "cv_std", "cv_stderr", "fold_1", "fold_2", "fold_3", "fold_fit_seconds"),
            *("fit_seconds", "row_latency_ms", "model_bytes", f"holdout_{spec.metric}"),
        } <= set(run.data.metrics)
        folds = [run.data.metrics[f"fold_{fold}"] for fold in (1, 2, 3)]
        assert run.data.metrics["cv_mean"] == pytest.approx(np.mean(folds))
        assert run.data.metrics["cv_stderr"] == pytest.approx(np.std(folds, ddof=1) / 3**0.5)


def test_the_artifacts_are_there_to_look_at(store: Store, tmp_path: Path) -> None:
    run = parent(store)
    root = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=str(tmp_path)))
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    plots = {
        "house-prices": {"residuals", "predicted-against-actual"},
        "income": {"roc", "precision-recall", "calibration", "confusion"},
    }
    wanted = {"candidates", "importance", "learning-curve", *plots[store.name]}
    assert {f"plots/{name}.png" for name in wanted} <= files
    assert {"spec.yaml", "roles.txt", "libraries.json", "parity.json", "importance.json"} <= files
    assert min((root / name).stat().st_size for name in files if name.endswith(".png")) > 5000
    assert yaml.safe_load((root / "spec.yaml").read_text())["name"] == store.name


def test_the_reason_stands_in_run_and_version(store: Store) -> None:
    run = parent(store)
    client = store.client()
    version = versions.resolve(client, store.name, alias=versions.CANDIDATE)
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**boosting** won with the best mean")
    assert note in version.description
    assert version.description.startswith(read(SPECS / f"{store.name}.yaml").description)
    rows = [line for line in note.splitlines() if line.startswith("|")]
    assert [row.count("|") for row in rows] == [9] * 4, "a head, a rule and two candidates"


def test_the_artifact_is_complete(store: Store, tmp_path: Path) -> None:
    made = artifact(store, tmp_path)
    identity, parity, golden = made.identity, made.parity, made.golden
    assert parity.engine == "onnx"
    assert [check.name for check in parity.checks][:2] == ["training rows", "held-out rows"]
    assert sum(check.rows for check in parity.checks[2:]) >= 10_000
    assert len(golden.rows) == len(golden.actual) == len(golden.outputs["prediction"]) == 100
    assert identity.run_id == parent(store).info.run_id
    assert identity.holdout.low < identity.holdout.value < identity.holdout.high
    assert identity.data_digest == parent(store).data.tags["assay.holdout_digest"]
    names = [column.name for column in made.contract.columns]
    assert all(list(row) == names for row in golden.rows)


def test_the_model_loads_anywhere_and_repeats_the_golden_rows(store: Store, tmp_path: Path) -> None:
    made = artifact(store, tmp_path)
    script = (
        "import json, sys, mlflow, pandas as pd\n"
        "golden = json.load(open(sys.argv[1] + '/assay/golden.json'))\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "rows = pd.DataFrame(golden['rows']).astype(\n"
        "    {c.name: c.type.to_pandas() for c in model.metadata.get_input_schema()\n"
        "     if c.type.name != 'string'})\n"
        "assert model.predict(rows).tolist() == golden['outputs']['prediction']\n"
        "assert 'registry' not in sys.modules, 'loaded without Assay'\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(made.folder)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_held_out_rows_are_kept_and_were_not_learned_from(store: Store, tmp_path: Path) -> None:
    run = parent(store)
    path = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="holdout/rows.parquet", dst_path=str(tmp_path)
    )
    rows = pd.read_parquet(path)
    contract = artifact(store, tmp_path / "model").contract
    assert list(rows.columns) == [*(c.name for c in contract.columns), run.data.params["target"]]
    assert len(rows) == int(run.data.params["holdout_rows"])


THIRD = {
    "name": "plans",
    "description": "Which plan does a customer choose?",
    "data": {"source": "plans.csv"},
    "target": "plan",
    "task": "multiclass",
    "split": {"kind": "stratified"},
    "metric": "accuracy",
    "cv": {"folds": 3},
    "candidates": {
        "lines": {"family": "linear"},
        "trees": {
            "family": "boosting",
            "space": {"learning_rate": {"low": 0.03, "high": 0.3, "scale": "log"}, "max_iter": 20},
            "trials": 2,
        },
        "prior": {"family": "dummy"},
    },
    "selection": "one-standard-error",
}


def customers(rows: int = 400) -> pd.DataFrame:
    """Numbers, words, true and false, dates, nulls, text; three classes."""
    rng = np.random.default_rng(3)
    colour = rng.choice(["red", "green", "blue"], rows)
    member = rng.choice([True, False], rows)
    since = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, rows), unit="D")
    size = rng.gamma(2, 30, rows).round(1)
    score = size / 40 + (colour == "red") * 1.5 + member + (since.year - 2020) * 0.5
    table = pd.DataFrame(
        {
            "size": size,
            "colour": colour,
            "member": member.astype(object),
            "since": since.strftime("%Y-%m-%d"),
            "note": [
                f"wants the {c} one with {int(s)} or more"
                for c, s in zip(colour, size, strict=True)
            ],
            "plan": np.array(["basic", "plus", "pro"])[np.digitize(score, [2.2, 3.8])],
        }
    )
    for column in ("size", "colour", "member", "since", "note"):
        table.loc[rng.random(rows) < 0.08, column] = None
    return table


@pytest.mark.parametrize(
    ("drop", "engine"), [(["since", "note"], "onnx"), ([], "pyfunc")], ids=["onnx", "pyfunc"]
)
def test_a_table_never_seen_before_needs_one_yaml_file(
    tmp_path: Path, drop: list[str], engine: str, restored_mlflow: None
) -> None:
    customers().to_csv(tmp_path / "plans.csv", index=False)
    (tmp_path / "plans.yaml").write_text(yaml.safe_dump({**THIRD, "drop": drop}))
    store = Store(tmp_path, "plans")
    done = store.run("experiments", "train", "plans.yaml")
    assert done.returncode == 0, done.stderr
    made = artifact(store, tmp_path / "model")
    assert made.parity.engine == engine, made.parity.reason
    assert made.path("model.onnx").exists() == (engine == "onnx")
    assert made.contract.outputs[1].classes == ("basic", "plus", "pro")
    best = max(run.data.metrics["cv_mean"] for run in children(store).values())
    assert best > children(store)["prior"].data.metrics["cv_mean"] + 0.1
    mlflow.pyfunc.load_model(str(made.folder))


def test_a_model_that_beats_nothing_is_not_registered(
    tmp_path: Path, restored_mlflow: None
) -> None:
    rng = np.random.default_rng(0)
    noise = pd.DataFrame({"x": rng.normal(size=200), "y": rng.normal(size=200)})
    noise.to_csv(tmp_path / "noise.csv", index=False)
    spec: dict[str, Any] = {
        "name": "noise",
        "data": {"source": "noise.csv"},
        "target": "y",
        "task": "regression",
        "split": {"kind": "random"},
        "metric": "rmse",
        "candidates": {
            "trees": {"family": "boosting", "space": {"max_iter": 300}},
            "median": {"family": "dummy"},
        },
    }
    (tmp_path / "noise.yaml").write_text(yaml.safe_dump(spec))
    store = Store(tmp_path, "noise")
    done = store.run("experiments", "train", "noise.yaml")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: nothing beats median")
    assert store.client().search_registered_models() == []


def test_training_again_gives_the_same_model_and_heeds_mlflow_run(
    house_copy: Store, tmp_path: Path
) -> None:
    """Spec, data and seed decide the model; `mlflow run` has made a run of its own and names it."""
    client = house_copy.client()
    outer = client.create_run(client.create_experiment("a project")).info
    mlflow_run = {"MLFLOW_RUN_ID": outer.run_id, "MLFLOW_EXPERIMENT_ID": outer.experiment_id}
    spec = str(SPECS / "house-prices.yaml")
    done = house_copy.run("experiments", "train", spec, **mlflow_run)
    assert done.returncode == 0, done.stderr
    assert "house-prices version 2 (@candidate, engine onnx)" in done.stdout
    assert "next: python -m registry promote house-prices" in done.stdout

    both = [versions.resolve(client, house_copy.name, number) for number in (1, 2)]
    one, other = (versions.download(client, each, tmp_path / f"{each.number}") for each in both)
    for name in ("golden.json", "contract.json", "parity.json", "model.onnx"):
        assert one.path(name).read_bytes() == other.path(name).read_bytes(), name

    tags = client.get_run(outer.run_id).data.tags
    assert tags["assay.training_run"] == both[1].run_id
    trained = client.get_run(both[1].run_id).info
    assert client.get_experiment(trained.experiment_id).name == "house-prices"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["train", "nothing"], 1, "error: there is no experiment 'nothing'; shipped: house-pri"),
        (["train", "missing.yaml"], 1, "error: there is no spec file missing.yaml"),
        (["train"], 2, "the following arguments are required: experiment"),
        (["fly"], 2, "invalid choice: 'fly'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_the_command_refuses(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    done = Store(tmp_path, "none").run("experiments", *words)
    assert (done.returncode, said in done.stderr.splitlines()[-1]) == (code, True), done.stderr
    assert not list(tmp_path.iterdir()), "nothing was written"


def test_the_shipped_experiments_are_listed(tmp_path: Path) -> None:
    done = Store(tmp_path, "none").run("experiments", "list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["house-prices", "income"]
    assert find("income").is_file()


def test_the_edge_page_runs_with_onnxruntime_alone(store: Store, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/edge.md").read_text()
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    made = artifact(store, tmp_path)
    check = "\nassert not {'mlflow', 'sklearn', 'pandas', 'onnx', 'registry'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script + check, str(made.folder)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = made.golden.outputs["prediction"]
    assert ast.literal_eval(done.stdout) == (
        expected if store.name == "income" else pytest.approx(expected, rel=1e-12)
    )
