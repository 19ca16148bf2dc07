"""The serving commands, run as processes: registry stands below serving and cannot import it."""

import os
import subprocess
import sys
from pathlib import Path

from pydantic import ValidationError

from registry.measurements import Served
from registry.versions import Version

HOUSE = Path(__file__).parents[1]
SECONDS = 300  # for one command; a server that is not ready by then is down


class CommandFailedError(Exception):
    """A command ended badly; the text is its last word."""


def bundle(version: Version, folder: Path) -> None:
    """Write a bundle of the version."""
    _run(
        *("serving", "bundle", version.name),
        *("--version", str(version.number), "--output", str(folder)),
    )


def probe(folder: Path, rows: Path, answers: Path) -> Served:
    """Start the bundle, ask the rows over every encoding, and stop it."""
    said = _run("serving", "probe", str(folder), "--rows", str(rows), "--answers", str(answers))
    try:
        return Served.model_validate_json(said)
    except ValidationError as error:
        raise CommandFailedError(f"the probe's report cannot be read: {error}") from error


def _run(*words: str) -> str:
    """`python -m WORDS` in this folder and on this store."""
    path = os.pathsep.join(filter(None, (str(HOUSE), os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env={**os.environ, "PYTHONPATH": path},
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailedError(f"{words[0]} did not end within {SECONDS} s") from None
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise CommandFailedError(lines[-1] if lines else f"exit code {done.returncode}")
    return done.stdout
