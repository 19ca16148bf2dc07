"""Versions of a registered model: register, resolve, download."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from registry import ledger
from registry.artifact import OWN_FILES, Artifact
from registry.errors import RegistryError
from registry.store import explain

CANDIDATE = "candidate"
CHAMPION = "champion"
DIGEST = "assay.digest"
VERDICT = "assay.verdict"
EVIDENCE = "assay.evidence"
SCORE = "assay.score"
PROMOTE = "promote"  # the tag that a person sets to `true` in the MLflow UI

# MLflow's answers for something that is not there.
ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


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
    created: datetime

    def __str__(self) -> str:
        return f"{self.name} version {self.number}"

    @property
    def model_uri(self) -> str:
        """What MLflow loads and downloads."""
        return f"models:/{self.name}/{self.number}"

    @property
    def wanted(self) -> bool:
        """Whether somebody asked for its promotion in the MLflow UI."""
        return self.tags.get(PROMOTE, "").strip().lower() == "true"

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
            created=datetime.fromtimestamp(entity.creation_timestamp / 1000, UTC),
        )


def register(client: MlflowClient, name: str, model_id: str, run_id: str, description: str) -> int:
    """Register a logged model as the next version, and point `candidate` to it last."""
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=folder)
        digest = Artifact(Path(path)).digest()
    ledger.create_model(client, name)
    created = client.create_model_version(
        name,
        source=f"models:/{model_id}",
        run_id=run_id,
        tags={DIGEST: digest},
        description=description,
        model_id=model_id,
    )
    set_alias(client, name, CANDIDATE, int(created.version))
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
        if error.error_code not in ABSENT:
            raise
        ledger.Ledger(client, name)  # says so when it is the model that does not exist
        if version is not None:
            raise RegistryError(
                f"{name!r} has no version {version}; see: python -m registry show {name}"
            ) from error
        raise RegistryError(f"{name!r} has no @{alias}; {_next_step(name, alias)}") from error


def number_under(client: MlflowClient, name: str, alias: str) -> int | None:
    """The number of the version under an alias."""
    number = client.get_registered_model(name).aliases.get(alias)
    return None if number is None else int(number)


def set_tag(client: MlflowClient, version: Version, key: str, value: str) -> None:
    """Set a tag of the version, whoever else does so at the same time."""
    write = partial(client.set_model_version_tag, version.name, str(version.number), key, value)
    _despite_others(write)


def set_alias(client: MlflowClient, name: str, alias: str, number: int) -> None:
    """Point an alias to a version, whoever else does so at the same time."""
    _despite_others(partial(client.set_registered_model_alias, name, alias, str(number)))


def exists(client: MlflowClient, name: str, number: int) -> bool:
    """Whether the version was not deleted."""
    try:
        client.get_model_version(name, str(number))
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return False
    return True


def every(client: MlflowClient, name: str | None = None) -> list[Version]:
    """All versions, of one model or of all, newest first."""
    found: list[Version] = []
    token = None
    while True:
        page = client.search_model_versions(f"name='{name}'" if name else None, page_token=token)
        found += [Version.of(entity) for entity in page]
        token = page.token
        if not token:
            break
    aliases: dict[tuple[str, int], list[str]] = {}  # a search leaves them out
    for each in {version.name for version in found}:
        for alias, number in client.get_registered_model(each).aliases.items():
            aliases.setdefault((each, int(number)), []).append(alias)
    named = (
        replace(version, aliases=tuple(sorted(aliases.get((version.name, version.number), ()))))
        for version in found
    )
    return sorted(named, key=lambda version: (version.name, -version.number))


def _despite_others(write: Callable[[], object]) -> None:
    """Try again once: of two first writes of one key at once, MLflow lets one collide."""
    try:
        write()
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        write()


def _next_step(name: str, alias: str) -> str:
    if alias == CANDIDATE:
        return f"train one: python -m experiments train {name}"
    return f"promote a version first: python -m registry promote {name}"


def download(client: MlflowClient, version: Version, folder: Path) -> Artifact:
    """Copy the version's artifact into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = mlflow.artifacts.download_artifacts(
            version.model_uri, dst_path=str(folder), tracking_uri=client.tracking_uri
        )
    except (MlflowException, OSError) as error:
        raise missing(error, f"the artifact of {version}") from error
    artifact = Artifact(Path(path))
    for needed in (Path(path) / "MLmodel", *map(artifact.path, OWN_FILES)):
        if not needed.is_file():
            raise RegistryError(
                f"the artifact of {version} lacks {needed.relative_to(path)}; "
                "restore it, or train a new version"
            )
    return artifact


def missing(error: Exception, what: str) -> RegistryError:
    """An artifact that could not be downloaded."""
    return RegistryError(
        f"{what} cannot be read ({explain(error)}); restore it, or train a new version"
    )
