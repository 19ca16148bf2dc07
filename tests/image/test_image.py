"""The image is small, holds what it needs and nothing else, and is the same each time."""

import io
import json
import re
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import grimp
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from serving import container, image
from serving.ask import ask_server
from serving.bundle import Bundle
from serving.process import free_ports
from tests.conftest import Store
from tests.image.conftest import Built

pytestmark = [pytest.mark.container, pytest.mark.slow]

MEGABYTE = 1_000_000
TRAINING = {"experiments", "matplotlib", "mlflow", "scipy", "skl2onnx", "sklearn", "skops"}


def facts(tag: str) -> dict[str, Any]:
    """What the engine says about the image."""
    (found,) = json.loads(container.engine("image", "inspect", tag))
    return dict(found)


def test_the_verb_says_what_it_built(built: Built) -> None:
    manifest = built.bundle.manifest
    line, sbom, following = built.output.splitlines()
    assert line.split() == [
        f"income:1-{manifest.model_digest[:12]}",
        f"{built.image.size_bytes / MEGABYTE:.0f}",
        "MB",
        built.image.id,
    ]
    assert "sbom.cdx.json" in sbom
    assert following == "next: python -m serving serve-image income --version 1"


def test_the_onnx_image_is_small(built: Built) -> None:
    assert built.image.size_bytes <= 450 * MEGABYTE


def test_labels_say_what_is_inside(built: Built) -> None:
    config = facts(built.image.tag)["Config"]
    labels, manifest = config["Labels"], built.bundle.manifest
    created = labels.pop("org.opencontainers.image.created")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert re.match(r"[0-9a-f]{40}", labels.pop("org.opencontainers.image.revision"))
    assert labels == {
        "org.opencontainers.image.title": "income",
        "org.opencontainers.image.description": "income version 1, onnx engine",
        "org.opencontainers.image.version": "1",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.base.name": "python:3.11-slim-bookworm",
        "assay.model.name": "income",
        "assay.model.version": "1",
        "assay.model.digest": manifest.model_digest,
        "assay.model.commit": manifest.git_commit,
        "assay.run": manifest.run_id,
        "assay.engine": "onnx",
    }


def test_nobody_inherits_secrets_or_mirrors(built: Built) -> None:
    history = container.engine("history", "--no-trunc", "--format={{.CreatedBy}}", built.image.tag)
    said = f"{json.dumps(facts(built.image.tag)['Config'])}\n{history}"
    assert not re.search(r"(?i)token|password|secret|index.url|pip_|_proxy", said)


# --- contents -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(built: Built) -> list[str]:
    return built.inside("find / -xdev -not -path '/proc/*' -not -path '/sys/*'").splitlines()


@pytest.mark.parametrize(
    "unwanted",
    [
        pytest.param(r"/(site|dist)-packages/(pip|setuptools|wheel|pkg_resources)(/|-)", id="pip"),
        pytest.param(r"/bin/(pip|easy_install)[\d.]*$|/ensurepip(/|$)", id="installers"),
        pytest.param(r"\.whl$|/\.cache(/|$)|/var/cache/pip", id="caches"),
        pytest.param(r"/bin/(\w+-)*(gcc|g\+\+|cc|c\+\+|clang|ld|as|make)(-\d+)?$", id="compilers"),
        pytest.param(r"^/opt/.*/(tests?|conftest\.py)(/|$)", id="tests"),
        pytest.param(r"^/opt/.*\.(h|hpp|a|pyx|pxd|map)$", id="what compilers read"),
        pytest.param(r"/\.git(/|$)|/\.[a-z]+_cache(/|$)|/\.venv(/|$)", id="a work tree"),
        pytest.param(r"/\.(env|netrc|npmrc|pypirc|aws|ssh)(/|$)|id_rsa|\.key$", id="secrets"),
        pytest.param(rf"/site-packages/({'|'.join(TRAINING)})(/|$)", id="training libraries"),
        pytest.param(r"/site-packages/(tritonclient|gevent|aiohttp|ml_dtypes)(/|$)", id="clients"),
    ],
)  # fmt: skip
def test_what_must_not_be_there(paths: list[str], unwanted: str) -> None:
    system = ("/usr/share/", "/usr/include/")  # Debian's own documents
    found = [path for path in paths if re.search(unwanted, path) and not path.startswith(system)]
    assert found == []


def test_our_code_is_what_serving_imports(paths: list[str]) -> None:
    graph = grimp.build_graph("registry", "serving", exclude_type_checking_imports=True)
    runtime = {name for name in graph.modules if name.startswith("serving.runtime")}
    needed = runtime | graph.find_upstream_modules("serving.runtime", as_package=True)
    there = {
        path.removeprefix("/opt/code/").removesuffix(".py").replace("/", ".")
        for path in paths
        if re.match(r"/opt/code/.*\.py$", path)
    }
    there = {name.removesuffix(".__init__") for name in there}
    assert there - needed == {"registry", "serving", "serving.healthcheck"}, "see .dockerignore"
    assert needed - there == set()


def test_all_code_is_compiled(paths: list[str]) -> None:
    there = set(paths)
    sources = [Path(path) for path in paths if re.match(r"/(opt|usr/lib/python3)\S*\.py$", path)]
    missing = [
        str(path)
        for path in sources
        if not path.is_relative_to("/opt/bundle")  # a model's files are data to the onnx engine
        and f"{path.parent}/__pycache__/{path.stem}.cpython-311.pyc" not in there
    ]
    assert len(sources) > 1000
    assert missing == []


def test_anybody_can_read_it_and_nobody_write_it(built: Built) -> None:
    odd = r"find /opt \( ! -perm -a+r -o -perm /go+w \) ! -type l"
    assert built.inside(odd) == ""


def test_the_bundle_arrives_unchanged(built: Built) -> None:
    sums = built.inside("cd /opt/bundle && find . -type f -exec sha256sum {} +")
    there = {name.removeprefix("./"): digest for digest, name in map(str.split, sums.splitlines())}
    there.pop("manifest.json")
    assert there == built.bundle.manifest.files


# --- the list of what is inside -------------------------------------------------------------------


def test_the_sbom_is_valid_and_kept_with_the_version(built: Built, restored_mlflow: None) -> None:
    beside = (built.bundle.folder.parent / image.SBOM).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(beside) is None
    document = json.loads(beside)
    assert document["metadata"]["component"]["hashes"][0]["content"] in built.image.id
    names = {component["name"].lower() for component in document["components"]}
    assert {"mlserver", "numpy", "onnxruntime"} <= names
    assert not names & (TRAINING | {"tritonclient", "setuptools", "pip"})
    kept = built.store.client().list_artifacts(
        built.bundle.manifest.run_id, f"image/{built.image.tag.replace(':', '-')}"
    )
    assert [entry.path.rsplit("/", 1)[-1] for entry in kept] == [image.SBOM]


# --- the same each time ---------------------------------------------------------------------------


def contents(tag: str, folder: Path) -> list[dict[str, tuple[object, ...]]]:
    """What each layer holds, file by file."""
    archive = folder / "image.tar"
    container.engine("save", f"--output={archive}", tag)
    with tarfile.open(archive) as saved:
        (manifest,) = json.loads(_read(saved, "manifest.json"))
        layers = [io.BytesIO(_read(saved, layer)) for layer in manifest["Layers"]]
    archive.unlink()
    return [_entries(layer) for layer in layers]


def _entries(layer: io.BytesIO) -> dict[str, tuple[object, ...]]:
    with tarfile.open(fileobj=layer) as files:
        return {
            file.name: (
                *(file.type, file.mode, file.uid, file.gid, file.mtime, file.linkname),
                sha256(_read(files, file)).hexdigest() if file.isreg() else None,
            )
            for file in files
        }


def _read(archive: tarfile.TarFile, name: str | tarfile.TarInfo) -> bytes:
    found = archive.extractfile(name)
    assert found is not None
    return found.read()


def test_a_build_without_network_gives_the_same_layers(
    built: Built, wheelhouse: Path, tmp_path: Path
) -> None:
    again = f"{built.image.tag}-again"
    bundle, wheels = (path.relative_to(image.ROOT) for path in (built.bundle.folder, wheelhouse))
    container.engine(
        *("build", "--no-cache", "--network=none", f"--tag={again}"),
        *(f"--build-arg=BUNDLE={bundle}", f"--build-arg=WHEELS={wheels}/*.whl", str(image.ROOT)),
        environment={"DOCKER_BUILDKIT": "1"},
    )
    try:
        # Docker orders a layer's archive in one of two ways, and which one depends on what it has
        # built before (moby issue 43540), so files decide where digests differ.
        if facts(again)["RootFS"] != facts(built.image.tag)["RootFS"]:
            there = contents(again, tmp_path)
            assert sum(map(len, there)) > 5000
            assert there == contents(built.image.tag, tmp_path)
    finally:
        container.engine("rmi", "--force", again)


def test_wheels_must_be_where_the_build_reads(
    built: Built, income_store: Store, tmp_path: Path
) -> None:
    words = ("image", "income", "--version", "1", "--wheels", str(tmp_path))
    done = income_store.run("serving", *words)
    assert done.returncode == 1
    assert "outside" in done.stderr


def test_the_pyfunc_image_is_small_and_answers(built: Built) -> None:
    folder, tag = built.bundle.folder.parent / "pyfunc", f"{built.image.tag}-pyfunc"
    words = ("bundle", "income", "--version", "1", "--engine", "pyfunc", "--output", str(folder))
    assert built.store.run("serving", *words).returncode == 0
    container.engine(
        *("build", f"--tag={tag}", f"--build-arg=BUNDLE={folder.relative_to(image.ROOT)}"),
        str(image.ROOT),
        environment={"DOCKER_BUILDKIT": "1"},
    )
    try:
        assert image.inspect(tag, Bundle(folder)).size_bytes <= 900 * MEGABYTE
        with container.running(tag, free_ports()) as server:
            asked = ask_server(built.bundle, 8, server.rest, server.grpc)
        for answers in asked.answers.values():
            assert list(answers) == built.bundle.artifact.golden.outputs["prediction"][:8]
    finally:
        container.engine("rmi", "--force", tag)
