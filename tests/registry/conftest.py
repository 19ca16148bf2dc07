"""Real stores to promote in: a sqlite file, and a tracking server asked over HTTP."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import shop
import yaml
from mlflow import MlflowClient

from registry import evidence, policy, versions
from registry.__main__ import main
from registry.store import connect
from registry.versions import CHAMPION

Run = Callable[..., tuple[int, str]]


@dataclass
class Store:
    """A store with a folder to work in."""

    root: Path
    uri: str
    _names: Iterator[int] = field(default_factory=itertools.count)

    def client(self) -> MlflowClient:
        """Point MLflow and the commands that a test starts here."""
        os.environ["MLFLOW_TRACKING_URI"] = self.uri
        return connect()

    def publish(self, *recipes: str, name: str | None = None) -> str:
        """Train and register these recipes as the next versions; of a new model without a name."""
        name = name or f"flats-{next(self._names)}"
        # MLflow puts the artifacts of a sqlite store where the process is.
        with contextlib.chdir(self.root):
            client = self.client()
            for recipe in recipes:
                shop.publish(client, name, shop.RECIPES[recipe])
        return name


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A sqlite file."""
    root = tmp_path_factory.mktemp("sqlite")
    return Store(root, f"sqlite:///{root}/mlflow.db")


@pytest.fixture(scope="session")
def http_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A tracking server that also serves the artifacts."""
    root = tmp_path_factory.mktemp("http")
    with serve(root, f"sqlite:///{root}/mlflow.db", f"{root}/artifacts") as url:
        yield Store(root, url)


@pytest.fixture(params=["sqlite", "http"])
def store(request: pytest.FixtureRequest, restored_mlflow: None) -> Store:
    """Each kind of store in turn."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    found.client()
    return found


@pytest.fixture
def sqlite(sqlite_store: Store, restored_mlflow: None) -> Store:
    """The sqlite store, for what does not depend on the kind."""
    sqlite_store.client()
    return sqlite_store


@pytest.fixture(scope="session")
def unserved(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default policy but for the gates that start a server."""
    document = yaml.safe_load((policy.SHIPPED / "default.yaml").read_text())
    path = tmp_path_factory.mktemp("policies") / "unserved.yaml"
    path.write_text(
        yaml.safe_dump({**document, "name": "unserved", "parity": None, "capacity": None})
    )
    return str(path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`python -m registry WORDS`, in this process: the exit code and what was printed."""

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@contextlib.contextmanager
def serve(root: Path, backend: str, artifacts: str) -> Iterator[str]:
    """Run `mlflow server` until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (root / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
                *("--port", str(port), "--workers", "1", "--backend-store-uri", backend),
                *("--artifacts-destination", artifacts),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=root,
            env={
                **os.environ,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # not used, and nine processes
            },
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(f"{url}/health", server, root / "server.log")
            yield url
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=2)
            return
        time.sleep(0.2)
    raise TimeoutError(log.read_text())


def champion_of(client: MlflowClient, name: str) -> int | None:
    return versions.number_under(client, name, CHAMPION)


def kept(client: MlflowClient, name: str, number: int) -> evidence.Evidence:
    """The evidence that the version's tags name, read back and checked."""
    version = versions.resolve(client, name, number)
    document = evidence.load(client, version, version.tags["assay.evidence"])
    assert version.tags["assay.verdict"] == document.verdict
    return document


def failed(document: evidence.Evidence) -> list[str]:
    return [result.gate for result in document.gates if result.outcome == "failed"]
