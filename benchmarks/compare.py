"""Runs a comparison and writes what it found."""

from pathlib import Path

from benchmarks import measure
from benchmarks.circumstances import circumstances
from benchmarks.contenders import ASSAY_ONNX, BARE, CONTENDERS
from benchmarks.measure import Plan
from benchmarks.plot import draw
from benchmarks.report import page
from benchmarks.results import Case, Results

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
    for contender in plan.contenders:
        plan.interpreter(contender)  # all are installed before the first is timed
    with measure.bench() as place:
        version = place.subject.version
        ceiling = measure.ceiling(plan, place)
        started, measured = measure.run(plan, place)
    results = Results(
        circumstances=circumstances(str(version), plan.environments),
        seconds=plan.seconds,
        ceiling=tuple(ceiling),
        started=tuple(started),
        measured=tuple(measured),
    )
    (output / "comparison.json").write_text(results.model_dump_json(indent=1) + "\n")
    (output / "comparison.md").write_text(page(results, "comparison.png"))
    draw(results, output / "comparison.png")
    return results
