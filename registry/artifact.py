"""What Assay keeps beside an MLflow model, in the folder `assay/` of the same artifact.

One version is one folder and one digest: the MLflow model, its contract, the compiled graph, the
golden rows and the identity that every response repeats.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from registry.contract import Contract

FOLDER = "assay"
CONTRACT = "contract.json"
GOLDEN = "golden.json"
IDENTITY = "identity.json"
PARITY = "parity.json"
GRAPH = "model.onnx"
OWN_FILES = (CONTRACT, GOLDEN, IDENTITY, PARITY)  # the graph may be absent
# MLflow writes this file into downloaded copies; it names the version and is no part of the model.
DOWNLOAD_MARK = "registered_model_meta"

Engine = Literal["onnx", "pyfunc"]


class Interval(BaseModel):
    """A measured value with its 95 % confidence interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


class Identity(BaseModel):
    """Where a model came from: the thread from commit to response."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_name: str
    run_id: str
    git_commit: str | None
    git_dirty: bool
    metric: str
    holdout: Interval
    holdout_rows: int
    data_digest: str


class Golden(BaseModel):
    """Held-out rows as JSON documents, with the trained pipeline's answers by output name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: tuple[dict[str, Any], ...]
    outputs: dict[str, list[Any]]
    actual: tuple[Any, ...]
    """The target's true values, for people."""


class ParityCheck(BaseModel):
    """How far the compiled graph is from the pipeline on one set of rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rows: int
    label_flips: int
    largest_difference: float
    """Absolute for probabilities, relative for regression."""


class Parity(BaseModel):
    """Whether the compiled graph may answer for the pipeline, and why not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Engine
    reason: str
    tolerance: float
    checks: tuple[ParityCheck, ...] = ()


class Artifact:
    """One version's artifact in a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where one of Assay's own files is."""
        return self.folder / FOLDER / name

    @property
    def contract(self) -> Contract:
        """The inputs and outputs."""
        return Contract.model_validate_json(self.path(CONTRACT).read_bytes())

    @property
    def golden(self) -> Golden:
        """The rows that a server must reproduce before it is ready."""
        return Golden.model_validate_json(self.path(GOLDEN).read_bytes())

    @property
    def identity(self) -> Identity:
        """Where the model came from."""
        return Identity.model_validate_json(self.path(IDENTITY).read_bytes())

    @property
    def parity(self) -> Parity:
        """What training measured about the compiled graph."""
        return Parity.model_validate_json(self.path(PARITY).read_bytes())

    @property
    def mlflow_version(self) -> str:
        """The MLflow that wrote the model, read without a YAML parser: images have none."""
        found = re.search(r"^mlflow_version: *(\S+)", (self.folder / "MLmodel").read_text(), re.M)
        return found[1] if found else ""

    def files(self) -> Mapping[str, str]:
        """The sha256 of every file of the model, by path."""
        paths = sorted(
            p for p in self.folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts
        )
        return {
            path.relative_to(self.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
            if path.name != DOWNLOAD_MARK
        }

    def digest(self) -> str:
        """One sha256 over all paths and contents: the version's name from here on."""
        lines = "".join(f"{sha256}  {path}\n" for path, sha256 in self.files().items())
        return hashlib.sha256(lines.encode()).hexdigest()
