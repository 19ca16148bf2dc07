"""A bundle is whole, repeatable, and honest about what it holds."""

import json
import shutil
from pathlib import Path

import pytest

from serving.__main__ import main
from serving.bundle import MANIFEST, MODEL, MODEL_SETTINGS, REQUIREMENTS, SETTINGS, Bundle
from serving.errors import ServingError
from tests.conftest import Store, packed


def test_a_bundle_names_the_version_and_the_digest_of_every_file(income_bundle: Bundle) -> None:
    manifest = income_bundle.manifest
    assert (manifest.model_name, manifest.version, manifest.engine) == ("income", 1, "onnx")
    assert manifest.model_digest == income_bundle.artifact.digest()
    assert manifest.run_id == income_bundle.artifact.identity.run_id
    named = {MANIFEST, *manifest.files}
    files = {
        path.relative_to(income_bundle.folder).as_posix()
        for path in income_bundle.folder.rglob("*")
        if path.is_file()
    }
    assert files == named
    assert {MODEL_SETTINGS, SETTINGS, REQUIREMENTS, f"{MODEL}/assay/contract.json"} < named


def test_bundling_twice_gives_the_same_digests(
    income_store: Store, income_bundle: Bundle, tmp_path: Path
) -> None:
    assert packed(income_store, tmp_path).manifest == income_bundle.manifest


def test_a_bundle_replaces_an_older_one_and_nothing_else(
    income_store: Store, tmp_path: Path
) -> None:
    first = packed(income_store, tmp_path)
    (first.folder / "stray").write_text("left over")
    second = packed(income_store, tmp_path)
    assert not (second.folder / "stray").exists()

    (second.folder / MANIFEST).unlink()
    words = ("serving", "bundle", "income", "--version", "1", "--output", str(second.folder))
    done = income_store.run(*words)
    assert done.returncode == 1
    assert "exists and is not a bundle" in done.stderr
    assert (second.folder / MODEL_SETTINGS).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["income"]  # no draft left


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["bundle", "income", "--output", "new"],
            "'income' has no @champion; promote a version first",
            id="no-champion",
        ),
        pytest.param(
            ["bundle", "income", "--version", "7", "--output", "new"],
            "'income' has no version 7",
            id="no-version",
        ),
        pytest.param(["bundle", "nobody", "--output", "new"], "'nobody'", id="no-model"),
        pytest.param(["start", "nowhere"], "nowhere is not a bundle", id="start-no-bundle"),
        pytest.param(["ask", "nowhere"], "nowhere is not a bundle", id="ask-no-bundle"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    income_store: Store,
    restored_mlflow: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    income_store.client()
    monkeypatch.chdir(income_store.root)
    assert main(words) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not (income_store.root / "new").exists()


def _changed(bundle: Bundle, folder: Path) -> Path:
    return Path(shutil.copytree(bundle.folder, folder / "changed"))


def test_a_changed_file_is_found(income_bundle: Bundle, tmp_path: Path) -> None:
    folder = _changed(income_bundle, tmp_path)
    with (folder / MODEL / "assay" / "model.onnx").open("ab") as graph:
        graph.write(b"\0")
    with pytest.raises(ServingError, match=r"model\.onnx is not the file that was packed"):
        Bundle(folder).verify()


def test_a_missing_file_is_found(income_bundle: Bundle, tmp_path: Path) -> None:
    folder = _changed(income_bundle, tmp_path)
    (folder / MODEL / "MLmodel").unlink()
    with pytest.raises(ServingError, match="lacks model/MLmodel"):
        Bundle(folder).verify()


def test_an_operator_may_change_settings(income_bundle: Bundle, tmp_path: Path) -> None:
    folder = _changed(income_bundle, tmp_path)
    settings = json.loads((folder / MODEL_SETTINGS).read_text())
    settings["parameters"]["extra"]["limits"]["max_rows"] = 5
    (folder / MODEL_SETTINGS).write_text(json.dumps(settings))
    Bundle(folder).verify()
