"""Both engines answer as the trained pipeline does, and the fast one needs nothing of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from serving.bundle import Bundle
from serving.limits import cpu_threads
from tests.conftest import Store

ROWS = 1000


def _holdout(store: Store, bundle: Bundle, folder: Path) -> tuple[Path, Path]:
    """Held-out rows, and what the pipeline answers for them in this process, without any server."""
    client = store.client()
    table = pd.read_parquet(
        client.download_artifacts(bundle.manifest.run_id, "holdout/rows.parquet", str(folder))
    )
    table = table[[column.name for column in bundle.artifact.contract.columns]].head(ROWS)
    pipeline: Any = mlflow.sklearn.load_model(f"models:/{store.name}/1")
    answers = {"prediction": pipeline.predict(table).tolist()}
    if hasattr(pipeline, "predict_proba"):
        answers["probability"] = pipeline.predict_proba(table).tolist()
    rows, expected = folder / "rows.parquet", folder / "answers.json"
    table.to_parquet(rows)
    expected.write_text(json.dumps(answers))
    return rows, expected


@pytest.mark.parametrize(
    ("model", "engine", "tolerance"),
    [
        ("house", "pyfunc", 1e-9),
        ("house", "onnx", 1e-5),
        ("income", "pyfunc", 1e-9),
        ("income", "onnx", 1e-6),
    ],
)
def test_a_started_server_answers_as_the_pipeline_on_every_way_in(
    request: pytest.FixtureRequest,
    restored_mlflow: None,
    tmp_path: Path,
    model: str,
    engine: str,
    tolerance: float,
) -> None:
    store: Store = request.getfixturevalue(f"{model}_store")
    name = f"{model}_bundle" if engine == "onnx" else f"{model}_pyfunc_bundle"
    bundle: Bundle = request.getfixturevalue(name)
    rows, expected = _holdout(store, bundle, tmp_path)
    words = ("probe", str(bundle.folder), "--rows", str(rows), "--answers", str(expected))
    done = store.run("serving", *words)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["engine"] == engine
    assert report["errors"] == 0
    assert set(report["encodings"]) == {
        "V2 REST",
        "V2 REST rows",
        "/predict",
        "/invocations",
        "V2 gRPC",
    }
    held_out = len(pd.read_parquet(rows))
    for way, encoding in report["encodings"].items():
        assert encoding["rows"] == held_out >= 250, way
        assert encoding["label_flips"] == 0, way
        assert encoding["largest_difference"] <= tolerance, way


def test_the_onnx_engine_loads_neither_mlflow_nor_sklearn_nor_pandas(income_bundle: Bundle) -> None:
    program = """
import sys
from pathlib import Path
from serving.bundle import Bundle, Extra
from serving.plane import Plane
Plane.load(Bundle(Path(sys.argv[1])), Extra())
print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(income_bundle.folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert {"onnxruntime", "orjson", "numpy"} <= loaded
    heavy = {"mlflow", "sklearn", "skops", "scipy", "pandas", "onnx", "skl2onnx", "experiments"}
    assert not loaded & heavy


def test_batching_does_not_change_an_answer(income_pyfunc_bundle: Bundle) -> None:
    """One call for all rows against one call a row, on the engine that joins requests."""
    from serving.bundle import Extra
    from serving.plane import Plane

    plane = Plane(income_pyfunc_bundle, Extra())
    body = json.dumps({"rows": plane.golden.rows[:40]}).encode()
    columns = plane.decoder.predict_json(body).columns
    together = plane.engine.predict(columns)
    for row in range(40):
        alone = plane.engine.predict({name: values[[row]] for name, values in columns.items()})
        assert alone["prediction"][0] == together["prediction"][row]
        np.testing.assert_allclose(
            alone["probability"][0], together["probability"][row], rtol=0, atol=1e-15
        )


@pytest.mark.parametrize(
    ("cpu_max", "threads"),
    [("90000 100000", 1), ("150000 100000", 1), ("200000 100000", 2), ("1000 100000", 1)],
)
def test_threads_follow_the_cpu_limit(tmp_path: Path, cpu_max: str, threads: int) -> None:
    (tmp_path / "cpu.max").write_text(cpu_max + "\n")
    assert cpu_threads(tmp_path) <= threads
    assert cpu_threads(tmp_path) >= 1


@pytest.mark.parametrize("text", ["max 100000", None], ids=["no-limit", "no-cgroup"])
def test_without_a_limit_threads_follow_the_machine(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    assert cpu_threads(tmp_path) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("quota", "limited"), [(90_000, True), (-1, False)])
def test_threads_follow_the_cpu_limit_of_cgroup_version_1(
    tmp_path: Path, quota: int, limited: bool
) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_threads(tmp_path) == (1 if limited else len(os.sched_getaffinity(0)))
