"""What an artifact is made of is seen before any of it runs."""

import pickle
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import sklearn.preprocessing
import skops.io
import yaml
from conftest import Store
from sklearn.pipeline import make_pipeline

from experiments.packing import TRUSTED
from registry import policy, promotion, service_gates, supply, versions
from registry.artifact import Artifact
from registry.promotion import Request


@pytest.fixture(scope="module")
def original(sqlite_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = sqlite_store.publish("first")
    client = sqlite_store.client()
    version = versions.resolve(client, name, 1)
    return versions.download(client, version, tmp_path_factory.mktemp("artifact")).folder


def pickled(folder: Path) -> None:
    document = yaml.safe_load((folder / "MLmodel").read_text())
    document["flavors"]["sklearn"]["serialization_format"] = "cloudpickle"
    (folder / "MLmodel").write_text(yaml.safe_dump(document))


def untrusted(folder: Path) -> None:
    class Sly(sklearn.preprocessing.StandardScaler):
        pass

    Sly.__module__ = "sly"
    skops.io.dump(make_pipeline(Sly()), folder / "model.skops")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "saved as a pickle": (pickled, "saved as cloudpickle, which runs code when it is loaded"),
    "a pickle beside the model": (
        lambda folder: (folder / "extra.pkl").write_bytes(pickle.dumps(1)),
        "extra.pkl runs code when it is loaded",
    ),
    "a shared library": (
        lambda folder: (folder / "fast.so").write_bytes(b"\x7fELF"),
        "fast.so runs code when it is loaded",
    ),
    "an unknown type": (untrusted, "type sly.Sly is not on the policy's list"),
    "unknown code": (
        lambda folder: (folder / "hook.py").write_text("import os"),
        "hook.py is code that the policy does not list",
    ),
    "an unpinned requirement": (
        lambda folder: (folder / "requirements.txt").write_text("numpy==2.4.6\npandas>=2\n"),
        "requirement 'pandas>=2' is not pinned",
    ),
    "a requirement from anywhere": (
        lambda folder: (folder / "requirements.txt").write_text("pandas @ file:///tmp/x.whl\n"),
        "requirement 'pandas @ file:///tmp/x.whl' is not pinned",
    ),
    "a wildcard": (
        lambda folder: (folder / "requirements.txt").write_text("pandas==2.*\n"),
        "requirement 'pandas==2.*' is not pinned",
    ),
    "no requirements": (
        lambda folder: (folder / "requirements.txt").unlink(),
        "it does not say which packages it needs",
    ),
    "too large": (
        lambda folder: (folder / "padding.bin").write_bytes(bytes(201_000_000)),
        " MB, 200 MB is allowed",
    ),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES.keys())
def test_stopped(
    change: Callable[[Path], object], reason: str, original: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    for path in original.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(original)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    registered = Artifact(folder).digest()
    assert against(folder, registered) == []
    change(folder)
    found = against(folder, registered)
    assert "the artifact is not the one that was registered: its digest differs" in found
    assert any(reason in each for each in found), found
    assert [each for each in against(folder, Artifact(folder).digest()) if reason in each]


def test_what_training_trusts_promotion_trusts() -> None:
    """Two lists on purpose: training's is what it makes, the policy's is what was looked at."""
    trusted = policy.read().supply.trusted_types
    assert [name for name in TRUSTED if not any(fnmatchcase(name, each) for each in trusted)] == []


def against(folder: Path, registered: str) -> list[str]:
    rules = policy.read().supply
    found = supply.audit(Artifact(folder), registered)
    lines = [f"requirement {line!r} is not pinned" for line in found.unpinned]
    lines += [] if found.requirements else ["it does not say which packages it needs"]
    large = [f"{found.size_mb:.4g} MB, 200 MB is allowed"] if found.size_mb > rules.size_mb else []
    return [*service_gates.unsafe(found, rules), *lines, *large]


def test_what_is_not_trusted_is_not_loaded(sqlite: Store, unserved: str) -> None:
    """A changed artifact is refused before its pipeline or code could do anything."""
    name = sqlite.publish("first")
    client = sqlite.client()
    version = versions.resolve(client, name, 1)
    source = Path(client.get_model_version_download_uri(name, "1"))
    (source / "code").mkdir()
    (source / "code" / "sitecustomize.py").write_text("raise SystemExit('ran')")
    outcome = promotion.promote(client, Request(name, policy.read(unserved)))
    assert outcome.result == "refused"
    results = {result.gate: result for result in outcome.evidence.gates}
    assert results["quality"].reasons == (
        "not loaded, because the artifact is not the one that was registered: its digest differs",
    )
    assert "code/sitecustomize.py is code that the policy does not list" in (
        results["supply"].reasons
    )
    assert version.digest == outcome.evidence.measurements.supply.registered_digest
