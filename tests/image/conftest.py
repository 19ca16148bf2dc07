"""One image of the income model, built for real where there is an engine that builds."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving import container, image
from serving.bundle import Bundle
from serving.image import Image
from serving.process import free_ports
from tests.conftest import Store

BASE = "python:3.11-slim-bookworm"


@dataclass(frozen=True)
class Built:
    """What `python -m serving image` left."""

    image: Image
    output: str
    store: Store

    @property
    def bundle(self) -> Bundle:
        return self.image.bundle

    def inside(self, script: str) -> str:
        """What a shell script prints in a container of the image, as root and without network."""
        return container.engine(
            *("run", "--rm", "--network=none", "--user=0", "--entrypoint=sh"),
            *(self.image.tag, "-c", script),
        )


def _builds(program: str) -> bool:
    """Whether this engine builds with BuildKit or something as able, and can get the base image."""
    with contextlib.suppress(OSError):
        trial = subprocess.run(
            [program, "build", "--quiet", "-"],
            check=False,
            input=f"FROM {BASE}\nRUN --mount=type=cache,target=/var/cache/pip true\n",
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return trial.returncode == 0
    return False


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The engine's command, which the commands under test use too."""
    # A docker client without its build plugin may hide one that builds.
    programs = (os.environ.get("DOCKER"), "docker", "/usr/bin/docker", "podman")
    for program in programs:
        if program and _builds(program):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("DOCKER", program)
                yield program
            return
    pytest.skip(f"no container engine that builds on {BASE}")


@pytest.fixture(scope="session")
def built(
    engine: str, income_store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    store = income_store.copy(tmp_path_factory.mktemp("image") / "store")
    done = store.run("serving", "image", "income", "--version", "1", timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    tag = done.stdout.split()[0]
    bundle = Bundle(image.IMAGES / tag.replace(":", "-") / "bundle")
    try:
        yield Built(image.inspect(tag, bundle), done.stdout, store)
    finally:
        container.engine("rmi", "--force", tag)
        shutil.rmtree(bundle.folder.parent)


@pytest.fixture(scope="session")
def server(built: Built) -> Iterator[container.Container]:
    with container.running(built.image.tag, free_ports()) as running:
        yield running


@pytest.fixture(scope="session")
def wheelhouse(built: Built) -> Path:
    """The wheels of the bundle's lock, below the repository as the build needs them."""
    folder = built.bundle.folder.parent / "wheels"
    container.engine(
        *("run", "--rm", "--user=0", f"--volume={built.bundle.folder}:/bundle:ro"),
        *(f"--volume={folder}:/wheels", "--entrypoint=python", BASE, "-m", "pip", "download"),
        *("--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--dest=/wheels", "--requirement=/bundle/requirements.txt"),
    )
    return folder
