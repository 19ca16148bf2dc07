"""The rows that training held out, and what models answer for them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from registry.contract import Contract
from registry.errors import RegistryError
from registry.metrics import Answers
from registry.versions import Version, missing

ROWS = "holdout/rows.parquet"
DIGEST = "assay.holdout_digest"
SLICES = "assay.slices"
TARGET = "target"


@dataclass(frozen=True)
class Holdout:
    """One training run's hold-out rows."""

    path: Path
    digest: str
    recorded_digest: str
    """What training noted; anything else means that the file was changed since."""
    target: str
    slices: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """All columns, the target among them."""
        return pd.read_parquet(self.path)


def recorded(client: MlflowClient, version: Version, name: str) -> str:
    """A tag or parameter that training left on the version's run."""
    data = client.get_run(version.run_id).data
    return str(data.tags.get(name, data.params.get(name, "")))


def fetch(client: MlflowClient, version: Version, folder: Path) -> Holdout:
    """Download the hold-out rows of the version's run."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = Path(
            mlflow.artifacts.download_artifacts(
                run_id=version.run_id,
                artifact_path=ROWS,
                dst_path=str(folder),
                tracking_uri=client.tracking_uri,
            )
        )
    except (MlflowException, OSError) as error:
        raise missing(error, f"the hold-out rows of {version}") from error
    target = recorded(client, version, TARGET)
    if not target:
        raise RegistryError(f"the run of {version} does not name its target; train it again")
    return Holdout(
        path=path,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        recorded_digest=recorded(client, version, DIGEST),
        target=target,
        slices=tuple(json.loads(recorded(client, version, SLICES) or "[]")),
    )


def answers(document: Mapping[str, Any], actual: "pd.Series[Any]", contract: Contract) -> Answers:
    """Pair a model's answers with the truth, classes as their position in the contract."""
    if contract.task == "regression":
        truth = actual.to_numpy(dtype=np.float64)
        return Answers(truth, np.asarray(document["prediction"], dtype=np.float64))
    codes = {str(name): code for code, name in enumerate(classes(contract))}
    return Answers(
        np.array([codes.get(str(value), -1) for value in actual.tolist()], dtype=np.int64),
        np.array([codes[str(value)] for value in document["prediction"]], dtype=np.int64),
        np.asarray(document["probability"], dtype=np.float64),
    )


def classes(contract: Contract) -> tuple[Any, ...]:
    """A classifier's classes in the order of its probabilities; none for regression."""
    return next((output.classes for output in contract.outputs if output.classes), ())
