"""The thread of identity: git commit, run, version, model digest, evidence."""

import re
from dataclasses import dataclass

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from registry import versions
from registry.artifact import FOLDER, IDENTITY, Identity
from registry.errors import RegistryError
from registry.versions import Version, missing

NAMED = re.compile(r"^(?:models:/)?(?P<name>[^/@:]+)(?:(?:/|:)(?P<number>\d+)|@(?P<alias>[^/@]+))$")
LEAST_HEX = 7  # as git abbreviates


@dataclass(frozen=True)
class Chain:
    """One version and where it came from."""

    version: Version
    identity: Identity


def whence(client: MlflowClient, what: str) -> list[Chain]:
    """Chains of the versions that a name, or a part of a digest, run id or commit, stands for."""
    named = NAMED.match(what)
    if named:
        number = named["number"]
        found = [
            versions.resolve(
                client,
                named["name"],
                int(number) if number else None,
                named["alias"] or versions.CHAMPION,
            )
        ]
        return [Chain(version, identity(version)) for version in found]
    if not re.fullmatch(rf"[0-9a-f]{{{LEAST_HEX},64}}", what):
        raise RegistryError(
            f"{what!r} is no version (NAME/3 or NAME@champion), and no digest, run id or commit "
            f"of at least {LEAST_HEX} hex digits"
        )
    every = versions.every(client)
    chains = [
        Chain(version, identity(version))
        for version in every
        if any(known.startswith(what) for known in _names(client, version))
    ]
    if not chains:
        raise RegistryError(f"no version has the digest, run, evidence or commit {what}")
    return chains


def identity(version: Version) -> Identity:
    """What the version's artifact says of itself."""
    try:
        text = mlflow.artifacts.load_text(f"{version.model_uri}/{FOLDER}/{IDENTITY}")
    except (MlflowException, OSError) as error:
        raise missing(error, f"the identity of {version}") from error
    return Identity.model_validate_json(text)


def _names(client: MlflowClient, version: Version) -> tuple[str, ...]:
    commit = client.get_run(version.run_id).data.tags.get("mlflow.source.git.commit", "")
    return (
        version.digest,
        version.run_id,
        version.tags.get(versions.EVIDENCE, ""),
        commit,
    )
