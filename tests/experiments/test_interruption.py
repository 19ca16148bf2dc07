"""However training ends, the store says so, nothing is half registered, no process is left."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow import MlflowClient

from experiments import interruption, tracking
from tests.conftest import SPECS, Store

SLOW = {
    "linear": {"family": "linear"},
    "boosting": {"family": "boosting", "space": {"max_iter": 3000}},
}


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store's database, which takes MLflow seconds to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(database: Path, tmp_path: Path, restored_mlflow: None) -> Store:
    """An empty store, beside a spec whose second candidate takes minutes."""
    shutil.copy(database, tmp_path)
    spec = yaml.safe_load((SPECS / "house-prices.yaml").read_text())
    (tmp_path / "slow.yaml").write_text(
        yaml.safe_dump({**spec, "candidates": SLOW}, sort_keys=False)
    )
    return Store(tmp_path, "house-prices")


@contextmanager
def training(store: Store) -> Iterator[subprocess.Popen[str]]:
    """A training process in a group of its own, once its first candidate is done."""
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments", "train", "slow.yaml"],
        cwd=store.root,
        env=store.environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        assert any(" linear rmsle " in line for line in process.stderr)
        yield process
    finally:
        if group_lives(process):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def group_lives(process: subprocess.Popen[str]) -> bool:
    """Whether any process of the group is there; zombies of ours are collected first."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while group_lives(process):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.1)


def statuses(store: Store) -> dict[str, str]:
    client = store.client()
    (experiment,) = client.search_experiments(filter_string="name = 'house-prices'")
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.params.get("candidate", "parent"): run.info.status for run in runs}


@pytest.mark.parametrize(
    ("number", "to_group"),
    [(signal.SIGINT, True), (signal.SIGTERM, False)],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_stopped_training_says_so_and_registers_nothing(
    store: Store, number: signal.Signals, to_group: bool
) -> None:
    with training(store) as process:
        (os.killpg if to_group else os.kill)(process.pid, number)
        _, errors = process.communicate(timeout=60)
        wait_until_gone(process)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped; nothing was registered"
    assert "Traceback" not in errors
    ended = statuses(store)
    assert ended["parent"] == "KILLED"
    assert set(ended.values()) <= {"KILLED", "FINISHED"}
    assert store.client().search_registered_models() == []


def test_the_next_training_ends_the_runs_of_a_killed_one(store: Store) -> None:
    with training(store) as process:
        os.kill(process.pid, signal.SIGKILL)
        wait_until_gone(process)
        assert statuses(store)["parent"] == "RUNNING"
    client = store.client()
    (experiment,) = client.search_experiments(filter_string="name = 'house-prices'")
    assert tracking.heal(client, experiment.experiment_id) >= 1
    assert set(statuses(store).values()) <= {"KILLED", "FINISHED"}


def test_a_training_that_is_alive_is_not_ended(store: Store) -> None:
    client = store.client()
    mlflow.set_experiment("house-prices")
    with tracking.run("alive") as run_id:
        assert tracking.heal(client, client.get_run(run_id).info.experiment_id) == 0
        client.set_tag(run_id, tracking.PROCESS, "another-host 1 1")
        assert tracking.heal(client, client.get_run(run_id).info.experiment_id) == 0
        client.set_tag(run_id, tracking.PROCESS, tracking._process()[:-1] + "x")
        assert tracking.heal(client, client.get_run(run_id).info.experiment_id) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED"), (SystemExit, "FAILED")],
)
def test_a_run_ends_as_its_block_does(
    store: Store, error: type[BaseException], status: str
) -> None:
    client = store.client()
    mlflow.set_experiment("house-prices")
    ids = []

    def fail() -> None:
        with tracking.run("outer") as outer, tracking.run("inner", nested=True) as inner:
            ids.extend([outer, inner])
            raise error

    with pytest.raises(error):
        fail()
    assert [client.get_run(each).info.status for each in ids] == [status] * 2
    assert mlflow.active_run() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_half_done_is_not_broken_off(number: signal.Signals) -> None:
    with interruption.postponed():
        signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt), interruption.heeded():
            pytest.fail("went on after a signal")
        signal.raise_signal(number)  # nor is what ends the runs afterwards
    with interruption.heeded():
        pass  # what was asked of the one training is not asked of the next
    with interruption.postponed(), pytest.raises(KeyboardInterrupt), interruption.heeded():
        signal.raise_signal(number)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_clear_line(store: Store, small_disk: Path) -> None:
    """Artifacts go to the working folder, whose disk fills up; the store is elsewhere."""
    (small_disk / "filler").write_bytes(bytes(2 * 2**20 - 4 * 4096))
    done = subprocess.run(
        [sys.executable, "-m", "experiments", "train", str(SPECS / "house-prices.yaml")],
        cwd=small_disk, env=store.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: no space left")
    assert last.endswith("free some and train again (nothing was registered)")
    assert "Traceback" not in done.stderr
    assert statuses(store)["parent"] == "FAILED"
    assert store.client().search_registered_models() == []


@pytest.mark.slow
def test_a_locked_store_is_one_clear_line_after_a_while(store: Store) -> None:
    with sqlite3.connect(store.root / "mlflow.db", isolation_level=None) as database:
        database.execute("BEGIN EXCLUSIVE")
        done = store.run("experiments", "train", "slow.yaml")
    database.close()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: the store {store.uri} is locked by another process; try again when that has ended"
    )
    assert "Traceback" not in done.stderr
