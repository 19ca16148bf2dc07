"""Real runs: Locust against started servers, good and broken, judged by the command."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from registry.capacity import last_load_test
from registry.versions import resolve
from serving.bundle import Bundle
from serving.process import free_ports
from tests.conftest import Store
from tests.load import load_profile
from tests.load.conftest import changed
from tests.load.errors import LoadTestError
from tests.load.record import load_test, record
from tests.load.run import RESULT, ROOT, Result

MET, BROKEN, MISSED = 0, 1, 3


def command(*words: str | Path, store: Store | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m tests.load WORDS`, as `make load` runs it."""
    return subprocess.run(
        [sys.executable, "-m", "tests.load", *map(str, words)],
        cwd=ROOT,
        env=os.environ if store is None else store.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def result(output: Path) -> Result:
    return Result.model_validate_json((output / RESULT).read_bytes())


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The capacity profile, made short."""
    document = yaml.safe_load((load_profile.SHIPPED / "capacity.yaml").read_text())
    document["shape"] = {"kind": "steps", "first": 20, "last": 30, "factor": 1.5, "seconds": 3}
    document["settle_seconds"] = 1
    document["objective"]["least_rate"] = 15
    path = tmp_path_factory.mktemp("profile") / "steps.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_short_load_on_a_good_server_is_met(bundle: Bundle, tmp_path: Path) -> None:
    done = command("run", bundle.folder, "short", "--output", tmp_path / "out")
    assert done.returncode == MET, done.stdout + done.stderr
    assert "objective met" in done.stdout
    found = result(tmp_path / "out")
    (stage,) = found.verdict.stages
    assert stage.summary.failed == stage.summary.overloaded == 0
    assert stage.summary.refused > 10
    assert stage.summary.answered > 700
    assert found.verdict.peak_memory_mb is not None
    assert 50 < found.verdict.peak_memory_mb < 600
    with (tmp_path / "out" / "stages.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1
    with (tmp_path / "out" / "locust_stats.csv").open() as file:
        names = {line["Name"] for line in csv.DictReader(file)}
    assert {"V2 REST", "V2 gRPC", "/predict"} < names
    assert (tmp_path / "out" / "load.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (tmp_path / "out" / "report.html").read_text()[:500]


def test_a_sleep_in_the_engine_turns_the_verdict_red_and_is_recorded(
    bundle: Bundle,
    steps: Path,
    income_copy: Store,
    tmp_path: Path,
) -> None:
    slow = changed(bundle, tmp_path, implementation="tests.load.broken.SlowRuntime")
    output = tmp_path / "out"
    done = command("run", slow.folder, steps, "--output", output, "--record", store=income_copy)
    assert done.returncode == MISSED, done.stdout + done.stderr
    assert "objective MISSED" in done.stdout
    assert "the first step: p50 is" in done.stdout
    found = result(output)
    assert len(found.verdict.stages) == 2  # two attempts at the first step, and no third
    assert found.verdict.capacity is not None
    assert found.verdict.capacity.requests_per_second == 0
    assert not found.failures, "slow answers are right answers"

    client = income_copy.client()
    version = resolve(client, "income", 1)
    kept = last_load_test(version)
    assert kept == load_test(found)
    assert (kept.requests_per_second, kept.cpus) == (0, 1)
    artifacts = client.list_artifacts(version.run_id, f"load/1/{found.at:%Y%m%dT%H%M%SZ}")
    names = {Path(artifact.path).name for artifact in artifacts}
    assert names == {"result.json", "report.html", "load.png", "stages.csv"}

    elsewhere = found.model_copy(update={"digest": "0" * 64})
    with pytest.raises(LoadTestError, match="is another model than the bundle's"):
        record(elsewhere, output)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["no-such-folder", "short"], "is not a bundle", id="no bundle"),
        pytest.param(["BUNDLE", "shorter"], "no profile 'shorter'", id="no profile"),
        pytest.param(
            ["BUNDLE", "short", "--host", "HOST"], "does not say which model", id="no server"
        ),
    ],
)
def test_what_cannot_be_tested_is_broken_not_missed(
    bundle: Bundle, tmp_path: Path, words: list[str], said: str
) -> None:
    host = f"http://127.0.0.1:{free_ports().http}"
    put = {"BUNDLE": str(bundle.folder), "HOST": host}
    done = command("run", *(put.get(word, word) for word in words), "--output", tmp_path / "out")
    assert done.returncode == BROKEN
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
