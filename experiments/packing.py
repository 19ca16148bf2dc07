"""The model artifact: MLflow's own files, and Assay's beside them."""

import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import onnx
from mlflow import MlflowClient
from mlflow.models import ModelSignature

from experiments import features
from registry.artifact import (
    CONTRACT,
    FOLDER,
    GOLDEN,
    GRAPH,
    IDENTITY,
    PARITY,
    Golden,
    Identity,
    Parity,
)
from registry.contract import Contract

# What skops may create when it loads a model; anything else makes saving, and so training, fail.
TRUSTED = (
    *(f"experiments.features.{name}" for name in ("Calendar", "Numbers", "Sentences", "Words")),
    "numpy.dtype",
    "numpy.expm1",
    "numpy.log1p",
    "sklearn.compose._target.TransformedTargetRegressor",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
NEEDED = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True)
class Parts:
    """Everything that one version is made of."""

    pipeline: Any
    signature: ModelSignature
    example: Any
    contract: Contract
    golden: Golden
    identity: Identity
    parity: Parity
    graph: onnx.ModelProto | None


def save(client: MlflowClient, parts: Parts) -> str:
    """Log the model in the active run; returns its id."""
    with tempfile.TemporaryDirectory(prefix="assay-") as scratch:
        code = _code(Path(scratch))
        logged = mlflow.sklearn.log_model(
            parts.pipeline,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED),
            signature=parts.signature,
            input_example=parts.example,
            pip_requirements=[f"{name}=={version(name)}" for name in NEEDED],
            code_paths=[str(code)],
        )
        own = _own(Path(scratch), parts)
        client.log_model_artifacts(logged.model_id, str(own), FOLDER)
    return str(logged.model_id)


def _code(scratch: Path) -> Path:
    """A package with the one module that the saved pipeline needs."""
    package = scratch / "code" / "experiments"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""What the saved pipeline needs."""\n')
    shutil.copyfile(str(features.__file__), package / "features.py")
    return package


def _own(scratch: Path, parts: Parts) -> Path:
    folder = scratch / FOLDER
    folder.mkdir()
    documents = {
        CONTRACT: parts.contract,
        GOLDEN: parts.golden,
        IDENTITY: parts.identity,
        PARITY: parts.parity,
    }
    for name, document in documents.items():
        (folder / name).write_text(document.model_dump_json(indent=1) + "\n")
    if parts.graph is not None:
        (folder / GRAPH).write_bytes(parts.graph.SerializeToString(deterministic=True))
    return folder
