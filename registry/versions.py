"""Versions of a registered model: register, resolve, download."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from registry.artifact import Artifact
from registry.errors import RegistryError
from registry.store import explain

CANDIDATE = "candidate"
CHAMPION = "champion"
DIGEST = "assay.digest"
VERDICT = "assay.verdict"
EVIDENCE = "assay.evidence"


@dataclass(frozen=True)
class Version:
    """One version of a registered model, as the registry knows it now."""

    name: str
    number: int
    run_id: str
    digest: str
    """The sha256 of its artifact."""
    description: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    created_ms: int

    def __str__(self) -> str:
        return f"{self.name} version {self.number}"

    @property
    def model_uri(self) -> str:
        """What MLflow loads and downloads."""
        return f"models:/{self.name}/{self.number}"

    @classmethod
    def of(cls, entity: ModelVersion) -> "Version":
        """Read MLflow's entity."""
        tags = dict(entity.tags)
        return cls(
            name=entity.name,
            number=int(entity.version),
            run_id=entity.run_id or "",
            digest=tags.get(DIGEST, ""),
            description=entity.description or "",
            aliases=tuple(sorted(entity.aliases)),
            tags=tags,
            created_ms=int(entity.creation_timestamp),
        )


def register(client: MlflowClient, name: str, model_id: str, run_id: str, description: str) -> int:
    """Register a logged model as the next version, and point `candidate` to it last."""
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=folder)
        digest = Artifact(Path(path)).digest()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        name,
        source=f"models:/{model_id}",
        run_id=run_id,
        tags={DIGEST: digest},
        description=description,
        model_id=model_id,
    )
    client.set_registered_model_alias(name, CANDIDATE, created.version)
    return int(created.version)


def resolve(
    client: MlflowClient, name: str, version: int | None = None, alias: str = CHAMPION
) -> Version:
    """The version of that number, or else the one under the alias."""
    try:
        if version is not None:
            return Version.of(client.get_model_version(name, str(version)))
        return Version.of(client.get_model_version_by_alias(name, alias))
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        if version is not None:
            raise RegistryError(f"{name!r} has no version {version}") from error
        raise RegistryError(
            f"{name!r} has no @{alias}; promote a version first: python -m registry promote {name}"
        ) from error


def download(client: MlflowClient, version: Version, folder: Path) -> Artifact:
    """Copy the version's artifact into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = mlflow.artifacts.download_artifacts(
            version.model_uri, dst_path=str(folder), tracking_uri=client.tracking_uri
        )
    except (MlflowException, OSError) as error:
        raise missing(error, f"the artifact of {version}") from error
    return Artifact(Path(path))


def missing(error: Exception, what: str) -> RegistryError:
    """An artifact that could not be downloaded."""
    return RegistryError(
        f"{what} cannot be read ({explain(error)}); restore it, or train a new version"
    )
