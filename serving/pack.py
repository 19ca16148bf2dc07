"""Pack a registered version into a bundle."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from registry import versions
from registry.artifact import DOWNLOAD_MARK, Artifact, Engine
from registry.versions import Version
from serving.bundle import (
    MANIFEST,
    MODEL,
    MODEL_SETTINGS,
    REQUIREMENTS,
    SETTINGS,
    Bundle,
    Manifest,
    folder_digests,
    write_json,
)
from serving.errors import ServingError
from serving.limits import ServerLimits

LOCKS = Path(__file__).resolve().parent.parent / "requirements"
# A pickle would execute whatever it holds; these packages must be at the version that wrote the
# model.
MODEL_PACKAGES = ("scikit-learn", "skops", "mlflow")


def pack(
    client: MlflowClient, version: Version, output: Path, engine: Engine | None = None
) -> Bundle:
    """Write the bundle of one version to `output`, whole or not at all.

    Without `engine` the version's own evidence chooses. An older bundle at `output` is replaced.
    """
    if output.exists() and not (output / MANIFEST).is_file() and any(output.iterdir()):
        raise ServingError(f"{output} exists and is not a bundle; name another folder or empty it")
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        artifact = versions.download(client, version, draft / MODEL)
        _write(draft, artifact, version, engine or artifact.parity.engine)
        draft.chmod(0o755)
        _replace(draft, output)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Bundle(output)


def _write(draft: Path, artifact: Artifact, version: Version, engine: Engine) -> None:
    (artifact.folder / DOWNLOAD_MARK).unlink(missing_ok=True)
    if engine == "onnx" and artifact.parity.engine != "onnx":
        raise ServingError(
            f"version {version.number} of {version.name!r} has no exact graph: "
            f"{artifact.parity.reason}; bundle it with the pyfunc engine"
        )
    lock = LOCKS / f"serve-{engine}.txt"
    if engine == "pyfunc":
        _check_pins(artifact.folder / "requirements.txt", lock)
    shutil.copyfile(lock, draft / REQUIREMENTS)
    write_json(draft / MODEL_SETTINGS, _model_settings(version))
    write_json(draft / SETTINGS, _settings())
    identity = artifact.identity
    manifest = Manifest(
        model_name=version.name,
        version=version.number,
        run_id=identity.run_id,
        git_commit=identity.git_commit,
        model_digest=artifact.digest(),
        engine=engine,
        files=folder_digests(draft),
    )
    write_json(draft / MANIFEST, manifest.model_dump())


def _check_pins(wanted: Path, lock: Path) -> None:
    """Refuse to serve a model with packages other than those it was trained with."""
    locked = _pins(lock)
    locked["mlflow"] = locked["mlflow-skinny"]  # the same code, less what it depends on
    for package, pin in _pins(wanted).items():
        if package in MODEL_PACKAGES and locked.get(package, pin) != pin:
            raise ServingError(
                f"the model was trained with {package} {pin}, the serving lock has "
                f"{locked[package]}; train it again, or bundle it from the commit that trained it"
            )


def _pins(requirements: Path) -> dict[str, str]:
    return dict(
        re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", requirements.read_text(), re.MULTILINE)
    )


def _model_settings(version: Version) -> dict[str, Any]:
    return {
        "name": version.name,
        "implementation": "serving.runtime.AssayRuntime",
        "parameters": {
            "uri": f"./{MODEL}",
            "version": str(version.number),
            "extra": {"limits": ServerLimits().model_dump()},
        },
    }


def _settings() -> dict[str, Any]:
    """Say what differs from MLServer's defaults; the environment decides ports."""
    return {
        "debug": False,  # true sends tracebacks to clients
        "parallel_workers": 0,  # a worker process costs 220 MB and wins nothing on one CPU
        "gzip_enabled": False,  # at level 9 it costs more than the request; the ingress compresses
        "grpc_max_message_length": ServerLimits().max_bytes,
        "model_repository_implementation": "serving.runtime.BundleRepository",
        "server_name": "assay",
    }


def _replace(draft: Path, output: Path) -> None:
    if not output.exists():
        draft.rename(output)
        return
    # A folder cannot replace a full one in one step: the old bundle steps aside, and comes
    # back on failure.
    aside = Path(tempfile.mkdtemp(prefix=f".{output.name}-old-", dir=output.parent))
    output.replace(aside / "bundle")
    try:
        draft.rename(output)
    except OSError:
        (aside / "bundle").replace(output)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
