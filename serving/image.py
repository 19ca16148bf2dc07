"""An image from a registered version: bundle, build, and a list of what is inside."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from registry.artifact import Engine
from registry.versions import Version
from serving.bundle import Bundle, Manifest
from serving.container import engine
from serving.errors import ServingError
from serving.pack import pack

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "build" / "images"
PLATFORM = "linux/amd64"  # the only one that anything here was tested on
SBOM = "sbom.cdx.json"
PACKAGES = "/opt/assay/lib"  # where the Dockerfile installs


@dataclass(frozen=True)
class Image:
    """A built image."""

    tag: str
    id: str
    """The sha256 of its configuration, and so of everything in it."""
    size_bytes: int
    bundle: Bundle


def tag_of(manifest: Manifest) -> str:
    """NAME:VERSION-DIGEST12, which says what is inside; never `latest`."""
    return f"{manifest.model_name}:{manifest.version}-{manifest.model_digest[:12]}"


def labels(version: Version, manifest: Manifest, revision: str | None) -> dict[str, str]:
    """What registries and people read off the image; the same for each build of a version."""
    known = {
        "org.opencontainers.image.title": manifest.model_name,
        "org.opencontainers.image.description": f"{version}, {manifest.engine} engine",
        "org.opencontainers.image.version": str(manifest.version),
        "org.opencontainers.image.created": f"{version.created:%Y-%m-%dT%H:%M:%SZ}",
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "assay.model.name": manifest.model_name,
        "assay.model.version": str(manifest.version),
        "assay.model.digest": manifest.model_digest,
        "assay.model.commit": manifest.git_commit,
        "assay.run": manifest.run_id,
        "assay.engine": manifest.engine,
    }
    return {name: value for name, value in known.items() if value}


def build(
    client: MlflowClient,
    version: Version,
    wheels: Path | None = None,
    serve_with: Engine | None = None,
) -> Image:
    """Bundle the version and build its image.

    With `wheels`, a folder inside this repository, nothing is downloaded. Without `serve_with` the
    version's own evidence chooses the engine.
    """
    options = [f"--platform={PLATFORM}"]
    if wheels is not None:
        options += ["--network=none", f"--build-arg=WHEELS={_inside(wheels)}/*.whl"]
    folder = IMAGES / f"{version.name}-{version.number}-{version.digest[:12]}"
    bundle = pack(client, version, folder / "bundle", serve_with)
    tag = tag_of(bundle.manifest)
    options += [f"--tag={tag}", f"--build-arg=BUNDLE={bundle.folder.relative_to(ROOT)}"]
    for label, value in labels(version, bundle.manifest, _revision()).items():
        options.append(f"--label={label}={value}")
    engine(
        "build",
        *options,
        str(ROOT),
        environment={
            "DOCKER_BUILDKIT": "1",
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # they would name the time and the machine
            "SOURCE_DATE_EPOCH": str(int(version.created.timestamp())),
        },
    )
    return inspect(tag, bundle)


def inspect(tag: str, bundle: Bundle) -> Image:
    """Read what the engine knows about an image."""
    (facts,) = json.loads(engine("image", "inspect", tag))
    return Image(tag, facts["Id"], facts["Size"], bundle)


def write_sbom(client: MlflowClient, image: Image) -> Path:
    """List what is in the image, beside it and with the version's run."""
    path = image.bundle.folder.parent / SBOM
    path.write_text(json.dumps(_bill_of_materials(image.tag, image.id), indent=2) + "\n")
    folder = f"image/{image.tag.replace(':', '-')}"
    client.log_artifact(image.bundle.manifest.run_id, str(path), folder)
    return path


def _bill_of_materials(image: str, image_id: str) -> dict[str, Any]:
    """CycloneDX of the image's Python packages: versions, licences, what needs what."""
    with tempfile.TemporaryDirectory(prefix="assay-image-") as scratch:
        container = engine("create", image)
        try:
            engine("cp", f"{container}:{PACKAGES}", scratch)
        finally:
            engine("rm", container)
        (packages,) = Path(scratch).glob("**/site-packages")
        # The tool asks an interpreter for its path. The image's own does not run outside the image.
        interpreter = Path(scratch) / "python"
        interpreter.write_text(f"#!/bin/sh\necho '{json.dumps([str(packages)])}'\n")
        interpreter.chmod(0o755)
        listing = subprocess.run(
            [
                sys.executable,
                "-m",
                "cyclonedx_py",
                "environment",
                "--output-reproducible",
                interpreter,
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    document: dict[str, Any] = json.loads(listing.stdout)
    name, _, version = image.partition(":")
    document["metadata"]["component"] = {
        "type": "container",
        "bom-ref": image,
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": image_id.removeprefix("sha256:")}],
    }
    return document


def _inside(folder: Path) -> Path:
    """A folder's path within the build context."""
    try:
        return folder.resolve().relative_to(ROOT)
    except ValueError:
        raise ServingError(
            f"{folder} is outside {ROOT}; the build reads its wheels from build/"
        ) from None


def _revision() -> str | None:
    """The commit of the code that goes into the image, marked when that has changes."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return described.stdout.strip() or None
