"""Runs a comparison and writes what it found."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import measure
from benchmarks.contenders import ASSAY_ONNX, BARE, CONTENDERS
from benchmarks.environments import BUILD, ROOT, pins
from benchmarks.measure import Bench, Plan
from benchmarks.plot import draw
from benchmarks.processes import take_cores
from benchmarks.report import page
from benchmarks.results import Case, Machine, Results
from benchmarks.subject import prepare

NAMED = (
    *("bentoml", "fastapi", "grpcio", "httptools", "mlflow", "mlserver", "mlserver-mlflow"),
    *("numpy", "onnxruntime", "orjson", "pandas", "scikit-learn", "uvicorn", "uvloop"),
)
# Windows long enough for p99 at 10 ms a request; all of it within ten minutes.
FULL = Plan(
    contenders=CONTENDERS,
    cases=[
        Case(way=way, rows=rows, connections=connections)
        for way in ("REST", "gRPC")
        for rows in (1, 100)
        for connections in (1, 8, 32)
    ],
    rounds=3,
    seconds={1: 1.5, 100: 1.0},
    own_environments=True,
)
QUICK = Plan(
    contenders=(BARE, ASSAY_ONNX),
    cases=[
        Case(way=way, rows=1, connections=connections)
        for way in ("REST", "gRPC")
        for connections in (1, 8)
    ],
    rounds=1,
    seconds={1: 0.5},
    own_environments=False,
)


def compare(plan: Plan, output: Path) -> Results:
    """Measure, and write comparison.json, .md and .png."""
    output.mkdir(parents=True, exist_ok=True)
    cores = take_cores()
    folder = BUILD / "run"
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(prepare(folder), cores, folder)
    for contender in plan.contenders:
        plan.interpreter(contender)  # all are installed before the first is timed
    ceiling = measure.ceiling(plan, bench)
    started, measured = measure.run(plan, bench)
    results = Results(
        command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        date=datetime.now(tz=UTC).date().isoformat(),
        commit=_commit(),
        machine=_machine(),
        model=str(bench.subject.version),
        versions={name: _named(name) for name in sorted(plan.environments)},
        seconds=plan.seconds,
        ceiling=tuple(ceiling),
        started=tuple(started),
        measured=tuple(measured),
    )
    (output / "comparison.json").write_text(results.model_dump_json(indent=1) + "\n")
    (output / "comparison.md").write_text(page(results, "comparison.png"))
    draw(results, output / "comparison.png")
    return results


def _named(environment: str) -> Mapping[str, str]:
    found = pins(environment)
    return {name: found[name] for name in NAMED if name in found}


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short=12", "HEAD") or "no commit") + changed


def _machine() -> Machine:
    model = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return Machine(
        cpu=model[0] if model else platform.machine(),
        cores=os.cpu_count() or 0,
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )
