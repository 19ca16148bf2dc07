"""Trained models and their bundles, for all rooms' tests: real data, training and stores."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import mlflow
import pytest
from filelock import FileLock
from mlflow import MlflowClient
from xdist.scheduler import LoadScopeScheduling

from registry.store import connect
from serving.bundle import Bundle

# A law holds on a busy machine too: how long one example takes is nobody's claim here.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell that runs the tests in the background ignores Ctrl-C for them and for all that they start,
# and some of these must show that they heed it.
signal.signal(signal.SIGINT, signal.default_int_handler)

SPECS = Path(__file__).parent / "specs"


class ByFile(LoadScopeScheduling):
    """One process for all tests of a file, which share servers, and for all that share an image."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return "tests/image" if file.startswith("tests/image/") else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that none runs alone at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Called only where tests run in several processes."""
    return ByFile(config, log)


@dataclass(frozen=True)
class Store:
    """A folder with a sqlite store and its artifacts, in which one model was trained."""

    root: Path
    name: str

    @property
    def uri(self) -> str:
        """What MLFLOW_TRACKING_URI says to use this store."""
        return f"sqlite:///{self.root}/mlflow.db"

    @property
    def environment(self) -> dict[str, str]:
        """For commands that a test starts."""
        return {
            **os.environ,
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def client(self) -> MlflowClient:
        """Point MLflow here; the fixture restores what it pointed to."""
        os.environ["MLFLOW_TRACKING_URI"] = self.uri
        return connect()

    def run(
        self, *words: str, timeout: float = 300, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`python -m WORDS` in this folder, on this store."""
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.root,
            env={**self.environment, **environment},
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def copy(self, root: Path) -> "Store":
        """The same store elsewhere: MLflow keeps absolute paths, so they are rewritten."""
        shutil.copytree(self.root, root)
        with sqlite3.connect(root / "mlflow.db") as database:
            for table, column in _text_columns(database):
                database.execute(
                    f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) '  # noqa: S608
                    f'WHERE instr("{column}", ?)',
                    (f"{self.root}/", f"{root}/", f"{self.root}/"),
                )
        database.close()
        return Store(root, self.name)


def _text_columns(database: sqlite3.Connection) -> list[tuple[str, str]]:
    return database.execute(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
        "WHERE m.type = 'table' AND (c.type LIKE 'VARCHAR%' OR c.type = 'TEXT')"
    ).fetchall()


def _shared(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """A folder for all of the tests' processes, which the first to ask fills and none changes."""
    parent = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        parent = parent.parent  # this process's own folder is in the one that all share
    folder, done = parent / name, parent / f"{name}.done"
    with FileLock(f"{done}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            done.touch()
    return folder


def _trained(factory: pytest.TempPathFactory, name: str) -> Store:
    def train(folder: Path) -> None:
        spec = str(SPECS / f"{name}.yaml")
        ended = Store(folder, name).run("experiments", "train", spec, timeout=280)
        assert ended.returncode == 0, ended.stderr

    return Store(_shared(factory, f"trained-{name}", train), name)


@pytest.fixture(scope="session")
def house_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """`house-prices` version 1 under @candidate; shared, so do not change it: see `house_copy`."""
    return _trained(tmp_path_factory, "house-prices")


@pytest.fixture(scope="session")
def income_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """`income` version 1 under @candidate; shared, so do not change it: see `income_copy`."""
    return _trained(tmp_path_factory, "income")


def packed(store: Store, folder: Path, *options: str) -> Bundle:
    """The bundle of the store's first version."""
    output = folder / store.name
    words = ("bundle", store.name, "--version", "1", "--output", str(output))
    done = store.run("serving", *words, *options)
    assert done.returncode == 0, done.stderr
    return Bundle(output)


def _packed(factory: pytest.TempPathFactory, store: Store, *options: str) -> Bundle:
    name = f"bundle-{store.name}{''.join(options)}"
    return Bundle(
        _shared(factory, name, lambda folder: packed(store, folder, *options)) / store.name
    )


@pytest.fixture(scope="session")
def income_bundle(income_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return _packed(tmp_path_factory, income_store)


@pytest.fixture(scope="session")
def income_pyfunc_bundle(income_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return _packed(tmp_path_factory, income_store, "--engine=pyfunc")


@pytest.fixture(scope="session")
def house_bundle(house_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return _packed(tmp_path_factory, house_store)


@pytest.fixture(scope="session")
def house_pyfunc_bundle(house_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return _packed(tmp_path_factory, house_store, "--engine=pyfunc")


@pytest.fixture
def house_copy(house_store: Store, tmp_path: Path, restored_mlflow: None) -> Store:
    """A copy of `house_store` that a test may change; MLflow's globals are restored after it."""
    return house_store.copy(tmp_path / "house")


@pytest.fixture
def income_copy(income_store: Store, tmp_path: Path, restored_mlflow: None) -> Store:
    """A copy of `income_store` that a test may change; MLflow's globals are restored after it."""
    return income_store.copy(tmp_path / "income")


@pytest.fixture(scope="session", autouse=True)
def module_path() -> list[str]:
    """Where modules are looked for before any test."""
    return list(sys.path)


@pytest.fixture(autouse=True)
def restored_path(module_path: list[str]) -> Iterator[None]:
    """Loading a model puts its own code before ours, where the next test's processes find it."""
    yield
    sys.path[:] = module_path


@pytest.fixture
def restored_mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore what MLflow keeps in globals and in the environment: URIs, the active run."""
    for name in (
        "MLFLOW_TRACKING_URI",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_RUN_ID",
        "MLFLOW_EXPERIMENT_ID",  # set_experiment leaves it for child processes
    ):
        monkeypatch.setenv(name, "")  # remembers the value to restore
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    yield
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.tracking.fluent._active_experiment_id = None  # there is no public way
    mlflow.set_tracking_uri("")
    mlflow.set_registry_uri("")
