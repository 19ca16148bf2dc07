"""The commands as users type them: exit codes, and one clear line for what is wrong."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run, Store

from registry import versions

USAGE = {
    "no verb": (),
    "an unknown verb": ("promot", "flats"),
    "no name": ("promote",),
    "a version of zero": ("promote", "flats", "--version", "0"),
    "a version in words": ("rollback", "flats", "--to", "last"),
    "a switch half on": ("promote", "flats", "--dry-run", "maybe"),
    "one version to compare": ("compare", "flats", "1"),
}


@pytest.mark.parametrize("words", USAGE.values(), ids=USAGE.keys())
def test_wrong_usage(words: tuple[str, ...], run: Run) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2


@pytest.fixture(scope="module")
def known(sqlite_store: Store) -> str:
    return sqlite_store.publish("first", name="known")


WRONG = {
    "promote a model that is not there": (
        ("promote", "nothing"),
        "error: no registered model 'nothing'; train one: python -m experiments train nothing",
    ),
    "show a model that is not there": (("show", "nothing"), "error: no registered model 'nothing'"),
    "a version that is not there": (
        ("promote", "known", "--version", "9"),
        "error: 'known' has no version 9; see: python -m registry show known",
    ),
    "compare with one that is not there": (
        ("compare", "known", "1", "9"),
        "error: 'known' has no version 9",
    ),
    "no champion": (
        ("whence", "known@champion"),
        "error: 'known' has no @champion; promote a version first: "
        "python -m registry promote known",
    ),
    "nothing to roll back to": (
        ("rollback", "known"),
        "error: 'known' has no champion before the present one",
    ),
    "roll back to what never was": (
        ("rollback", "known", "--to", "1"),
        "error: known version 1 was never champion; promote it: "
        "python -m registry promote known --version 1",
    ),
    "a policy that is not there": (
        ("promote", "known", "--policy", "strict"),
        "error: no policy 'strict'; give a path to a .yaml file, or one of: default",
    ),
    "a digest of nothing": (
        ("whence", "0123456789abcdef"),
        "error: no version has the digest, run, evidence or commit 0123456789abcdef",
    ),
    "a name of nothing": (
        ("whence", "a b"),
        "error: 'a b' is no version (NAME/3 or NAME@champion)",
    ),
    "a long reason": (
        ("rollback", "known", "--reason", "x" * 501),
        "error: the reason is longer than 500 characters; shorten it",
    ),
}


@pytest.mark.parametrize(("words", "line"), WRONG.values(), ids=WRONG.keys())
def test_one_line(words: tuple[str, ...], line: str, sqlite: Store, known: str, run: Run) -> None:
    code, said = run(*words)
    assert code == 1
    assert line in said
    assert said.count("\n") == 1


def test_no_candidate(sqlite: Store, run: Run) -> None:
    name = sqlite.publish("first")
    sqlite.client().delete_registered_model_alias(name, "candidate")
    code, said = run("promote", name)
    assert code == 1
    assert said == (
        f"error: '{name}' has no @candidate; train one: python -m experiments train {name}\n"
    )


def test_no_history_yet(sqlite: Store, known: str, run: Run) -> None:
    assert run("history", known) == (0, "no version of 'known' has been promoted\n")
    code, said = run("show", known)
    assert code == 0
    assert said.startswith("known has no champion; promote a version: python -m registry promote")


def test_unreachable_server(
    monkeypatch: pytest.MonkeyPatch, restored_mlflow: None, run: Run
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, said = run("show", "flats")
    assert code == 1
    assert said == (
        "error: no MLflow server answers at http://127.0.0.1:9; "
        "start it, or set MLFLOW_TRACKING_URI\n"
    )


MISSING = {
    "the model": ("model", "", "the artifact of {} lacks MLmodel"),
    "the contract": (
        "model",
        "assay/contract.json",
        "the artifact of {} lacks assay/contract.json",
    ),
    "the hold-out rows": ("run", "holdout", "the hold-out rows of {} cannot be read"),
}


@pytest.mark.parametrize(("where", "what", "message"), MISSING.values(), ids=MISSING.keys())
def test_missing_artifacts(
    where: str, what: str, message: str, sqlite: Store, run: Run, unserved: str
) -> None:
    name = sqlite.publish("first")
    client = sqlite.client()
    version = versions.resolve(client, name, 1)
    root = {
        "model": client.get_model_version_download_uri(name, "1"),
        "run": client.get_run(version.run_id).info.artifact_uri,
    }[where]
    gone = Path(root) / what
    gone.unlink() if gone.is_file() else shutil.rmtree(gone)
    code, said = run("promote", name, "--policy", unserved)
    (line,) = (line for line in said.splitlines() if line.startswith("error: "))
    assert code == 1
    assert line.startswith(f"error: {message.format(version)}")
    assert line.endswith("restore it, or train a new version")
    assert "Traceback" not in said


def test_changed_holdout_rows(sqlite: Store, run: Run, unserved: str) -> None:
    name = sqlite.publish("first")
    client = sqlite.client()
    version = versions.resolve(client, name, 1)
    rows = Path(client.get_run(version.run_id).info.artifact_uri) / "holdout" / "rows.parquet"
    rows.write_bytes(rows.read_bytes().replace(b"north", b"NORTH"))
    code, said = run("promote", name, "--policy", unserved)
    assert code == 3
    assert "the hold-out rows are not the ones that training recorded: their digest differs" in said


@pytest.mark.slow  # MLflow waits 20 seconds for a lock
def test_locked_sqlite(tmp_path: Path, sqlite: Store, known: str) -> None:
    copy = tmp_path / "mlflow.db"
    shutil.copy(sqlite.uri.removeprefix("sqlite:///"), copy)
    holder = sqlite3.connect(copy, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    done = command("show", known, uri=f"sqlite:///{copy}")
    holder.close()
    assert done.returncode == 1
    assert done.stderr == (
        "error: the sqlite store is locked by another process; wait for it, or end it, and retry\n"
    )


def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("hello " * 1000)
    done = command("show", "flats", uri=f"sqlite:///{path}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "not a database" in line


def command(*words: str, uri: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "registry", *words],
        env={**os.environ, "MLFLOW_TRACKING_URI": uri},
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
