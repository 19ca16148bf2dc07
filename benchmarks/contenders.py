"""The servers that are compared: how each is started and asked, all else at its defaults."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.forms import Form, Invocations, Records, V2Grpc, V2Rest
from benchmarks.processes import Launch
from benchmarks.subject import Subject
from registry.artifact import GRAPH, Engine
from serving.process import Ports

ROOT = Path(__file__).resolve().parent.parent
APPS = Path(__file__).resolve().parent / "apps"
HOST = "127.0.0.1"
# What suits 32 connections: a full batch leaves at once, and nobody waits longer than 5 ms.
BATCHING = {"max_batch_size": 32, "max_batch_time": 0.005}


class Contender(Protocol):
    """One server of the subject's model."""

    @property
    def name(self) -> str:
        """As tables call it."""
        ...

    @property
    def environment(self) -> str:
        """The lock it runs with."""
        ...

    def forms(self, subject: Subject) -> dict[str, Form]:
        """How it is asked over REST and, if it speaks it, over gRPC."""
        ...

    def launch(self, python: Path, subject: Subject, folder: Path, ports: Ports) -> Launch:
        """How it is started; `folder` is its own to write to."""
        ...


def _v2(subject: Subject) -> dict[str, Form]:
    name = subject.version.name
    return {"REST": V2Rest(name), "gRPC": V2Grpc(name)}


def _variables(python: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "true",
        **more,
    }


@dataclass(frozen=True)
class MLServer:
    """MLServer with its MLflow runtime."""

    name: str
    server: dict[str, Any]
    """What differs from the defaults of settings.json."""
    model: dict[str, Any]
    """And of model-settings.json."""
    way: str = "REST"
    environment: str = "stock"

    def forms(self, subject: Subject) -> dict[str, Form]:
        """V2, one way."""
        return {self.way: _v2(subject)[self.way]}

    def launch(self, python: Path, subject: Subject, folder: Path, ports: Ports) -> Launch:
        """`mlserver start`."""
        model = {
            "name": subject.version.name,
            "implementation": "mlserver_mlflow.MLflowRuntime",
            "parameters": {"uri": str(subject.model), "version": str(subject.version.number)},
            **self.model,
        }
        (folder / "model-settings.json").write_text(json.dumps(model))
        (folder / "settings.json").write_text(json.dumps(self.server))
        return Launch(
            [str(python.parent / "mlserver"), "start", str(folder)],
            _variables(python, PYTHONPATH=str(APPS), **ports.environment(HOST)),
            folder,
        )


class MlflowServe:
    """MLflow's own server."""

    name = "mlflow models serve"
    environment = "stock"

    def forms(self, subject: Subject) -> dict[str, Form]:  # noqa: ARG002 - one path for any model
        """/invocations."""
        return {"REST": Invocations()}

    def launch(self, python: Path, subject: Subject, folder: Path, ports: Ports) -> Launch:
        """`mlflow models serve`."""
        options = ["--host", HOST, "--port", str(ports.http), "--env-manager", "local"]
        command = [str(python), "-m", "mlflow", "models", "serve", "-m", str(subject.model)]
        return Launch([*command, *options], _variables(python), folder)


class Bento:
    """BentoML."""

    name = "BentoML"
    environment = "bentoml"

    def forms(self, subject: Subject) -> dict[str, Form]:  # noqa: ARG002 - one path for any model
        """A list of documents."""
        return {"REST": Records()}

    def launch(self, python: Path, subject: Subject, folder: Path, ports: Ports) -> Launch:
        """`bentoml serve`."""
        options = ["--host", HOST, "--port", str(ports.http), "--working-dir", str(APPS)]
        return Launch(
            [str(python), "-m", "bentoml", "serve", "bento:Income", *options],
            _variables(python, BENTOML_HOME=str(folder), INCOME_MODEL=str(subject.model)),
            folder,
        )


class Bare:
    """FastAPI and ONNX Runtime, without validation."""

    name = "FastAPI + ONNX, bare"
    environment = "bare"

    def forms(self, subject: Subject) -> dict[str, Form]:
        """V2 over REST."""
        return {"REST": V2Rest(subject.version.name)}

    def launch(self, python: Path, subject: Subject, folder: Path, ports: Ports) -> Launch:
        """One file."""
        graph = subject.onnx.artifact.path(GRAPH).resolve()
        command = [str(python), str(APPS / "bare.py"), str(graph), str(ports.http)]
        return Launch(command, _variables(python), folder)


class Assay:
    """A bundle, started as its image starts it."""

    def __init__(self, engine: Engine) -> None:
        self.name = f"Assay {engine}"
        self.environment: str = engine

    def forms(self, subject: Subject) -> dict[str, Form]:
        """V2."""
        return _v2(subject)

    def launch(self, python: Path, subject: Subject, folder: Path, ports: Ports) -> Launch:
        """The image's entry point."""
        bundle = subject.onnx if self.environment == "onnx" else subject.pyfunc
        return Launch(
            [str(python), "-m", "serving.runtime", str(bundle.folder.resolve())],
            _variables(python, PYTHONPATH=str(ROOT), **ports.environment(HOST)),
            folder,
        )


STOCK = MLServer("mlserver-mlflow", {}, {})
# One process answers instead of two: one CPU has no use for a second, and memory is saved.
STOCK_ALONE = MLServer("mlserver-mlflow, no workers", {"parallel_workers": 0}, {})
STOCK_BATCHING = MLServer("mlserver-mlflow, batching", {}, BATCHING)
# Stock does not answer with text over gRPC at all; see the app.
STOCK_GRPC = MLServer(
    "mlserver-mlflow, repaired", {}, {"implementation": "repaired.Repaired"}, way="gRPC"
)
BARE = Bare()
ASSAY_ONNX = Assay("onnx")
ASSAY_PYFUNC = Assay("pyfunc")
CONTENDERS: Sequence[Contender] = (
    STOCK,
    STOCK_ALONE,
    STOCK_BATCHING,
    STOCK_GRPC,
    MlflowServe(),
    Bento(),
    BARE,
    ASSAY_PYFUNC,
    ASSAY_ONNX,
)
