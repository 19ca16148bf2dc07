"""The commit that the code came from."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """A commit, and whether the code that ran differs from it."""

    sha: str | None
    dirty: bool


def commit() -> Commit:
    """Of the repository that holds this file.

    Dirty means tracked files that were changed, or Python files that no commit has: a run keeps its
    spec and its data's digest itself, so those may lie beside the code uncommitted.
    """
    sha = _git("rev-parse", "HEAD")
    if sha is None:
        return Commit(None, dirty=False)
    changes = (_git("status", "--porcelain") or "").splitlines()
    return Commit(
        sha.strip(), any(not line.startswith("??") or line.endswith(".py") for line in changes)
    )


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=Path(__file__).parent,
            check=False,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
