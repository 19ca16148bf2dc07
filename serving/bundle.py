"""A bundle: one folder, pinned to one version, that `mlserver start` serves.

    model/               the version's MLflow model, with Assay's own files in model/assay/
    model-settings.json  MLServer: which runtime, which version, which engine and limits
    settings.json        MLServer: the server
    requirements.txt     hash-locked packages of the chosen engine
    manifest.json        the version's identity and the digest of every other file

Reading one needs neither MLflow nor MLServer.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from registry.artifact import Artifact, Engine
from serving.errors import ServingError
from serving.limits import ServerLimits

MANIFEST = "manifest.json"
MODEL = "model"
MODEL_SETTINGS = "model-settings.json"
SETTINGS = "settings.json"
REQUIREMENTS = "requirements.txt"


class Manifest(BaseModel):
    """What a bundle is made of; equal bundles have equal manifests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle_version: int = 1
    model_name: str
    version: int
    run_id: str
    git_commit: str | None
    model_digest: str
    engine: Engine
    files: dict[str, str]
    """The sha256 of every other file, by path."""


class Extra(BaseModel):
    """`parameters.extra` of model-settings.json: the switches that an operator may turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Engine | None = None
    """Force an engine; without it the manifest's is used, which evidence chose."""
    limits: ServerLimits = ServerLimits()


class Bundle:
    """A bundle in a local folder, whole and unchanged since it was packed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        except FileNotFoundError:
            raise ServingError(
                f"{folder} is not a bundle (no {MANIFEST}); make one: "
                f"python -m serving bundle NAME --output {folder}"
            ) from None
        except ValidationError as error:
            raise ServingError(
                f"{folder / MANIFEST} is damaged: {error.errors()[0]['msg']}"
            ) from None

    @property
    def artifact(self) -> Artifact:
        """The version's model, contract and golden rows."""
        return Artifact(self.folder / MODEL)

    def verify(self) -> None:
        """Refuse a bundle whose files are not the ones that were packed; settings may be edited."""
        for name, sha256 in self.manifest.files.items():
            if name in (SETTINGS, MODEL_SETTINGS):
                continue
            path = self.folder / name
            if not path.is_file():
                raise ServingError(f"{self.folder} lacks {name}; bundle the version again")
            if file_digest(path) != sha256:
                raise ServingError(
                    f"{path} is not the file that was packed; bundle the version again"
                )


def file_digest(path: Path) -> str:
    """The sha256 of one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder but the manifest, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in paths
        if path.name != MANIFEST
    }


def write_json(path: Path, document: Any) -> None:
    """Write a document so that equal documents are equal bytes."""
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
