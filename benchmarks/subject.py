"""What every contender serves: one registered version, and rows with its pipeline's answers."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np

from benchmarks.errors import BenchmarkError
from registry import holdout, store, versions
from registry.contract import Contract
from registry.errors import RegistryError
from registry.versions import CANDIDATE, CHAMPION, Version
from serving.bundle import Bundle
from serving.clients import Row
from serving.pack import pack
from serving.probe import read_rows

logger = logging.getLogger(__name__)

MODEL = "income"
# Many enough that no contender answers from a cache, few enough to check each before each round.
ROWS = 200
TOLERANCE = 1e-6  # of probabilities: what parity allows


@dataclass(frozen=True)
class Subject:
    """One version, bundled for both engines, and the rows to ask."""

    version: Version
    onnx: Bundle
    pyfunc: Bundle
    rows: list[Row]
    expected: dict[str, Any]
    """The trained pipeline's own answers for these rows, by output name."""

    @property
    def contract(self) -> Contract:
        """The inputs and outputs."""
        return self.onnx.artifact.contract

    @property
    def model(self) -> Path:
        """The MLflow model that the stock servers load."""
        return self.onnx.artifact.folder.resolve()

    def answers(self, start: int, stop: int) -> dict[str, Any]:
        """The pipeline's answers for some of the rows."""
        return {name: values[start:stop] for name, values in self.expected.items()}


def prepare(folder: Path) -> Subject:
    """Bundle the champion, or else the candidate; without either, train one first."""
    client = store.connect()
    version = _newest(client)
    if version is None:
        logger.info("the store has no %s; training one (half a minute)", MODEL)
        command = [sys.executable, "-m", "experiments", "train", MODEL]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        version = _newest(client)
        if version is None:
            raise BenchmarkError(f"training {MODEL} failed:\n{done.stderr.strip()[-2000:]}")
    onnx = pack(client, version, folder / "onnx", "onnx")
    pyfunc = pack(client, version, folder / "pyfunc", "pyfunc")
    rows, expected = _rows(client, version, onnx, folder / "holdout")
    return Subject(version, onnx, pyfunc, rows, expected)


def _newest(client: mlflow.MlflowClient) -> Version | None:
    for alias in (CHAMPION, CANDIDATE):
        try:
            return versions.resolve(client, MODEL, alias=alias)
        except RegistryError:
            continue
    return None


def _rows(
    client: mlflow.MlflowClient, version: Version, bundle: Bundle, folder: Path
) -> tuple[list[Row], dict[str, Any]]:
    """The first held-out rows without nulls: gRPC's typed tensors cannot say null in a text."""
    held = holdout.fetch(client, version, folder)
    names = [column.name for column in bundle.artifact.contract.columns]
    complete = held.table()[names].dropna().head(ROWS)
    path = folder / "asked.parquet"
    complete.to_parquet(path, index=False)
    pipeline = mlflow.sklearn.load_model(str(bundle.artifact.folder))
    expected = {
        "prediction": np.asarray(pipeline.predict(complete)),
        "probability": np.asarray(pipeline.predict_proba(complete)),
    }
    return list(read_rows(path)), expected
