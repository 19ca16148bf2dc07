"""When, where and with what something was measured."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmarks.environments import ROOT, pins

NAMED = (
    *("bentoml", "fastapi", "grpcio", "httptools", "mlflow", "mlserver", "mlserver-mlflow"),
    *("numpy", "onnxruntime", "orjson", "pandas", "scikit-learn", "uvicorn", "uvloop"),
)


class Circumstances(BaseModel):
    """What someone needs to measure again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    date: str
    commit: str
    model: str
    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str
    versions: dict[str, dict[str, str]]
    """By environment and package."""

    def head(self) -> Iterator[str]:
        """The first lines of a page of results."""
        yield f"`{self.command}`, {self.date}, commit {self.commit}; raw figures beside this page."
        yield ""
        yield f"{self.cpu}, {self.cores} cores, {self.memory_gb:.0f} GB, {self.system}, Python"
        yield f"{self.python}."
        yield ""

    def foot(self) -> Iterator[str]:
        """The last lines of a page of results."""
        yield ""
        yield "## Versions"
        yield ""
        for environment, packages in self.versions.items():
            pairs = ", ".join(f"{name} {version}" for name, version in packages.items())
            yield f"- {environment}: {pairs}"


def circumstances(model: str, environments: Iterable[str]) -> Circumstances:
    """Those of this process."""
    cpus = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return Circumstances(
        command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        date=datetime.now(tz=UTC).date().isoformat(),
        commit=_commit(),
        model=model,
        cpu=cpus[0] if cpus else platform.machine(),
        cores=os.cpu_count() or 0,
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions={name: _named(name) for name in sorted(environments)},
    )


def _named(environment: str) -> dict[str, str]:
    found = pins(environment)
    return {name: found[name] for name in NAMED if name in found}


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short=12", "HEAD") or "no commit") + changed
