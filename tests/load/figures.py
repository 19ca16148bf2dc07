"""The figures of docs/capacity.md, measured and written by one command."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from shutil import copyfile

from serving.bundle import Bundle
from tests.load import ceiling, report
from tests.load.errors import LoadTestError
from tests.load.load_profile import read
from tests.load.run import ROOT, Result, run
from tests.load.targets import Target, own_container, own_process
from tests.load.verdict import UTILISATION, Stage, replicas

PAGE = ROOT / "docs" / "capacity.md"
PLOT = ROOT / "docs" / "capacity.png"
OUTPUT = ROOT / "build" / "load"
BEGIN = "<!-- Figures: `python -m tests.load figures` writes what is between these lines. -->"
END = "<!-- End of the figures. -->"


def measure(bundles: Sequence[Bundle], images: Sequence[str]) -> Iterator[str]:
    """Measure and write the page; of the first bundle all, of the others the capacity.

    Yields a line as each measurement is done.
    """
    if images and len(images) != len(bundles):
        raise LoadTestError("name an image for each bundle, in the same order, or none at all")
    text = _page()
    capacities = []
    for number, bundle in enumerate(bundles):
        result = _run(bundle, images[number : number + 1], "capacity")
        capacities.append(result)
        yield f"{result.model}, {result.engine}: {carries(result)}"
    ceilings = list(ceiling.measure(bundles[0], "capacity"))
    yield f"Locust: {rate(ceilings[0][1]):.0f} requests a second"
    spike = _run(bundles[0], images[:1], "spike")
    yield f"spike: {_verdict(spike)}"
    soak = _run(bundles[0], images[:1], "soak")
    yield f"soak: {_verdict(soak)}"
    first = OUTPUT / _name(bundles[0], "capacity") / report.PLOT
    copyfile(first, PLOT)
    figures = markdown(capacities, ceilings, spike, soak)
    PAGE.write_text(f"{text[0]}{BEGIN}\n\n{figures}\n{END}{text[1]}")
    yield f"see {PAGE.relative_to(ROOT)}"


def markdown(
    capacities: Sequence[Result],
    ceilings: Sequence[tuple[str, Result]],
    spike: Result,
    soak: Result,
) -> str:
    """All figures."""
    first = capacities[0]
    lines = [
        f"Measured on {first.at:%Y-%m-%d}, {first.machine}.",
        "",
        *_capacities(capacities),
        "",
        f"## Step by step: {first.model}, {first.engine} engine",
        "",
        *_stages(first.verdict.stages),
        "",
        f"![Latency, processors and memory against load](capacity.png) {carries(first)}.",
        "",
        "## How much Locust can do",
        "",
        "| requests | a second |",
        "| --- | ---: |",
        *(f"| {name} | {rate(result):.0f} |" for name, result in ceilings),
        "",
        _enough(first, rate(ceilings[0][1])),
        "",
        "## A spike",
        "",
        f"{_verdict(spike)}.",
        "",
        *_stages(spike.verdict.stages),
        "",
        "## A soak",
        "",
        _soaked(soak),
        "",
    ]
    return "\n".join(lines)


def carries(result: Result) -> str:
    """What one replica carries, in a sentence without its stop."""
    capacity = result.verdict.capacity
    if capacity is None or capacity.stage is None:
        return "carries nothing within the objective"
    least = f"at least {capacity.requests_per_second:.0f}"
    if capacity.at_least is None:
        return f"carries {capacity.requests_per_second:.0f} requests a second"
    return f"carries {least} requests a second: {capacity.at_least}"


def rate(result: Result) -> float:
    """Requests a second in the first stage."""
    return result.verdict.stages[0].summary.rate


def _capacities(results: Sequence[Result]) -> Iterator[str]:
    traffic = report.TRAFFIC
    counted = " | ".join(f"for {each:,}/s" for each in traffic)
    yield f"| model | engine | served as | requests/s | p50 | p99 ms | peak MB | {counted} |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: |" + " ---: |" * len(traffic)
    for result in results:
        verdict = result.verdict
        capacity = verdict.capacity
        if capacity is None or capacity.stage is None:
            yield f"| {result.model} | {result.engine} | {result.where} | none |" + " |" * 6
            continue
        seen = verdict.stages[capacity.stage].summary
        least = "≥ " if capacity.at_least else ""
        counts = " | ".join(str(replicas(t, capacity.requests_per_second)) for t in traffic)
        yield (
            f"| {result.model} | {result.engine} | {result.where} | "
            f"{least}{capacity.requests_per_second:.0f} | {seen.p50_ms:.1f} | {seen.p99_ms:.1f} | "
            f"{verdict.peak_memory_mb or 0:.0f} | {counts} |"
        )
    yield ""
    yield f"The last columns count replicas, each loaded to {UTILISATION:.0%} of its capacity."


def _stages(stages: Sequence[Stage]) -> Iterator[str]:
    yield (
        "| asked/s | right/s | p50 ms | p95 ms | p99 ms | failed | 503 | CPUs | throttled "
        "| MB | Locust's CPU |"
    )
    yield "| ---: " * 11 + "|"
    for stage in stages:
        seen, used = stage.summary, stage.usage
        cells = (
            f"{seen.level:g}",
            f"{seen.rate:.0f}",
            *(_cell(value, ".1f") for value in (seen.p50_ms, seen.p95_ms, seen.p99_ms)),
            str(seen.failed),
            str(seen.overloaded),
            _cell(used.server_cpus, ".2f"),
            _cell(used.throttled, ".0%"),
            _cell(used.memory_mb, ".0f"),
            _cell(used.generator_cpus, ".0%"),
        )
        yield "| " + " | ".join(cells) + " |"


def _enough(result: Result, most: float) -> str:
    capacity = result.verdict.capacity
    found = 0.0 if capacity is None else capacity.requests_per_second
    if found < 0.8 * most:
        return f"{found:.0f} is well below it: what limits the replica above is the replica."
    return f"{found:.0f} is close to it: read the capacity above as at least that."


def _soaked(soak: Result) -> str:
    stages = soak.verdict.stages
    seen = [stage.summary for stage in stages]
    memory = [stage.usage.memory_mb for stage in stages if stage.usage.memory_mb is not None]
    p99 = [each.p99_ms or 0 for each in seen]
    said = (
        f"{_verdict(soak)}: {sum(each.requests for each in seen):,} requests in {len(seen)} "
        f"minutes, {sum(each.failed for each in seen)} failed, "
        f"{sum(each.overloaded for each in seen)} got 503. "
        f"p99 by minute: {min(p99):.1f} to {max(p99):.1f} ms."
    )
    if not memory:
        return said
    return f"{said} Memory: {memory[1]:.0f} MB in minute 2, {memory[-1]:.0f} MB in the last."


def _verdict(result: Result) -> str:
    if result.verdict.met:
        return "Objective met"
    return f"Objective missed ({'; '.join(result.verdict.reasons)})"


def _run(bundle: Bundle, image: Sequence[str], profile: str) -> Result:
    output = OUTPUT / _name(bundle, profile)
    with _served(bundle, image) as target:
        result = run(bundle, read(profile), target, output)
    report.write(result, output)
    return result


def _served(bundle: Bundle, image: Sequence[str]) -> AbstractContextManager[Target]:
    return own_container(image[0]) if image else own_process(bundle)


def _name(bundle: Bundle, profile: str) -> str:
    return f"{bundle.manifest.model_name}-{bundle.manifest.engine}-{profile}"


def _page() -> tuple[str, str]:
    """What stands before and after the figures."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise LoadTestError(f"{PAGE} has no lines between which figures go: {BEGIN} and {END}")
    return before, after


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
