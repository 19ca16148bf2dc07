"""Evidence: what was measured for one version and what was decided, as one JSON document.

    evidence/<version>/<sha256 of the file>.json    artifact of the version's run

The name is the content's digest, so a document that was changed no longer has its name.
"""

import getpass
import hashlib
import platform
import socket
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import BaseModel, ConfigDict, ValidationError

from registry.errors import RegistryError
from registry.gates import GateResult, Permission
from registry.measurements import Measurements
from registry.versions import Version, missing

Verdict = Literal["passed", "refused"]
TOOLS = ("mlflow", "scikit-learn", "numpy", "pandas", "skops", "onnxruntime", "mlserver")


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Subject(_Closed):
    """A version, by everything that identifies it."""

    name: str
    version: int
    run_id: str
    model_digest: str


class PolicyReference(_Closed):
    """Which policy was asked."""

    name: str
    digest: str


class Evidence(_Closed):
    """One decision and all it stands on."""

    evidence_version: Literal[1] = 1
    subject: Subject
    champion: Subject | None
    """What it was measured against."""
    policy: PolicyReference
    allowed: tuple[Permission, ...]
    """What the person who asked allowed explicitly."""
    measurements: Measurements
    gates: tuple[GateResult, ...]
    verdict: Verdict
    at: datetime
    by: str
    seconds: float
    """How long measuring took."""
    tools: Mapping[str, str]

    def content(self) -> bytes:
        """The file's bytes."""
        return self.model_dump_json(indent=1).encode()

    def digest(self) -> str:
        """The sha256 of the file."""
        return hashlib.sha256(self.content()).hexdigest()


def subject(of: Version) -> Subject:
    """Identify a version."""
    return Subject(name=of.name, version=of.number, run_id=of.run_id, model_digest=of.digest)


def who() -> str:
    """The user and the machine that run this."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def now() -> datetime:
    """The time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def tools() -> dict[str, str]:
    """The versions of what measured."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def path(number: int, digest: str) -> str:
    """Where a document is kept among the artifacts of the version's run."""
    return f"evidence/{number}/{digest}.json"


def keep(client: MlflowClient, document: Evidence) -> str:
    """Store the document with the version's run; returns its digest."""
    kept = Path(path(document.subject.version, document.digest()))
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / kept.name
        file.write_bytes(document.content())
        client.log_artifact(document.subject.run_id, str(file), str(kept.parent))
    return kept.stem


def load(client: MlflowClient, of: Version, digest: str) -> Evidence:
    """Read a document back; refuses one that is not what was stored, or not about this model."""
    what = f"the evidence {digest[:12]} of {of}"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            file = mlflow.artifacts.download_artifacts(
                run_id=of.run_id,
                artifact_path=path(of.number, digest),
                dst_path=scratch,
                tracking_uri=client.tracking_uri,
            )
            content = Path(file).read_bytes()
        except (MlflowException, OSError) as error:
            raise missing(error, what) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise RegistryError(f"{what} was changed after it was stored; evaluate the version again")
    try:
        document = Evidence.model_validate_json(content)
    except ValidationError as error:
        raise RegistryError(f"{what} cannot be read: {error.errors()[0]['msg']}") from error
    if document.subject != subject(of):
        raise RegistryError(f"{what} is about another model; evaluate the version again")
    return document
