"""A run for people: a plot, a table, a summary."""

import csv
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from serving.judge import Kind
from tests.load.load_profile import Objective, Steps
from tests.load.records import NUMBERS, Records, Span
from tests.load.run import Result
from tests.load.verdict import UTILISATION, Stage, replicas

PLOT = "load.png"
TABLE = "stages.csv"
COLOURS = {"p50": "#1b7837", "p95": "#e08214", "p99": "#b2182b"}
BUCKETS = 120  # points along the time of a run
TRAFFIC = (100, 1_000, 10_000)  # requests a second that replicas are counted for

mpl.use("Agg")


def write(result: Result, output: Path) -> None:
    """Write plot and table beside the result."""
    write_table(result, output / TABLE)
    figure = Figure(figsize=(9, 9), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1.5, 1.5))
    if isinstance(result.profile.shape, Steps):
        _plot_steps(result, axes)
    else:
        records, spans = Records.load(output)
        _plot_time(result, records, spans, axes)
    verdict = "objective met" if result.verdict.met else "objective MISSED"
    figure.suptitle(
        f"{result.model} version {result.version}, {result.engine} engine: "
        f"{result.profile.name}, {verdict}\n{result.where}",
        fontsize=11,
    )
    figure.savefig(output / PLOT, dpi=110)


def write_table(result: Result, path: Path) -> None:
    """One line a stage."""
    rows = [
        {
            **stage.summary.model_dump(),
            **stage.usage.model_dump(),
            "missed": "; ".join(stage.missed),
            "generator": stage.generator or "",
        }
        for stage in result.verdict.stages
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def summary(result: Result) -> Iterator[str]:
    """The lines that a command prints."""
    verdict = result.verdict
    unit = "users" if result.profile.unit == "users" else "asked/s"
    yield f"{result.model} version {result.version}, {result.engine} engine, {result.where}:"
    yield (
        f"{unit:>9} {'right/s':>9} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'failed':>7} "
        f"{'503':>6} {'CPUs':>5} {'MB':>5} {'Locust':>6}"
    )
    for stage in verdict.stages:
        yield _line(stage)
    if verdict.peak_memory_mb is None:
        yield "memory was not seen, so it is not judged; name --container or --pid"
    else:
        yield f"peak memory {verdict.peak_memory_mb:.0f} MB"
    for reason, count in list(result.failures.items())[:5]:
        yield f"{count} x {reason}"
    capacity = verdict.capacity
    if capacity is not None and capacity.stage is not None:
        sure = f" at least ({capacity.at_least})" if capacity.at_least else ""
        yield f"capacity{sure}: {capacity.requests_per_second:.0f} requests a second"
        counted = ", ".join(
            f"{replicas(traffic, capacity.requests_per_second)} for {traffic:,}/s"
            for traffic in TRAFFIC
        )
        yield f"replicas, each loaded to {UTILISATION:.0%}: {counted}"
    yield "objective met" if verdict.met else "objective MISSED:"
    for reason in verdict.reasons:
        yield f"  {reason}"


def _line(stage: Stage) -> str:
    seen, used = stage.summary, stage.usage
    return (
        f"{seen.level:>9g} {seen.rate:>9.1f} {_number(seen.p50_ms)} {_number(seen.p95_ms)} "
        f"{_number(seen.p99_ms)} {seen.failed:>7} {seen.overloaded:>6} "
        f"{_number(used.server_cpus, 5, '.2f')} {_number(used.memory_mb, 5, '.0f')} "
        f"{_number(used.generator_cpus, 6, '.0%')}"
    )


def _number(value: float | None, width: int = 8, form: str = ".2f") -> str:
    return "-".rjust(width) if value is None else format(value, form).rjust(width)


def _plot_steps(result: Result, axes: list[Axes]) -> None:
    latency, cpus, memory = axes
    # Of a level that was tried twice the second attempt counts; the first is a hollow mark.
    last = list({stage.summary.level: stage for stage in result.verdict.stages}.values())
    first = [stage for stage in result.verdict.stages if stage not in last]
    levels = [stage.summary.level for stage in last]
    for name, colour in COLOURS.items():
        latency.plot(levels, _latencies(last, name), "o-", color=colour, label=name, ms=4)
        latency.plot(
            [stage.summary.level for stage in first],
            _latencies(first, name),
            "o",
            color=colour,
            mfc="none",
            ms=4,
            label="first of two attempts" if first and name == "p99" else None,
        )
    _objective_lines(latency, result.profile.objective)
    capacity = result.verdict.capacity
    if capacity is not None and capacity.stage is not None:
        for axis in axes:
            shown = result.verdict.stages[capacity.stage].summary.level
            axis.axvline(shown, color="black", lw=1, ls=":")
        least = "at least " if capacity.at_least else ""
        latency.set_title(
            f"carries {least}{capacity.requests_per_second:.0f} requests a second", fontsize=10
        )
    used = [stage.usage for stage in last]
    cpus.plot(levels, [u.server_cpus or np.nan for u in used], "o-", label="server", ms=4)
    locust = [u.generator_cpus or np.nan for u in used]
    cpus.plot(levels, locust, "o-", color="grey", label="Locust", ms=4)
    if result.cpus is not None:
        cpus.axhline(result.cpus, color="black", lw=0.8, ls="--", label="server's limit")
    _label(cpus, "processors")
    memory.plot(levels, [u.memory_mb or np.nan for u in used], "o-", label="server", ms=4)
    _label(memory, "memory, MB")
    for axis in (cpus, memory):
        axis.set_ylim(0, axis.get_ylim()[1] * 1.2)
    memory.set_xlabel("users" if result.profile.unit == "users" else "requests a second asked")
    if levels[-1] > 8 * levels[0]:
        memory.set_xscale("log")
        memory.set_xticks(levels, [f"{level:g}" for level in levels], rotation=45)
        memory.minorticks_off()


def _latencies(stages: list[Stage], name: str) -> list[float]:
    values = [getattr(stage.summary, f"{name}_ms") for stage in stages]
    return [np.nan if value is None else value for value in values]


def _plot_time(result: Result, records: Records, spans: tuple[Span, ...], axes: list[Axes]) -> None:
    due, latency_s, kind = records.arrays()
    begin, end = spans[0].start, spans[-1].end
    ended = due + latency_s - begin
    edges = np.linspace(0, end - begin, min(BUCKETS, max(2, int(end - begin))) + 1)
    width = edges[1] - edges[0]
    bucket = np.digitize(ended, edges) - 1
    latency, rate, memory = axes
    middles = edges[:-1] + width / 2
    answered = kind == NUMBERS[Kind.ANSWERED]
    for name, percent in (("p50", 50), ("p95", 95), ("p99", 99)):
        values = [
            np.percentile(latency_s[inside], percent) * 1000 if inside.any() else np.nan
            for inside in (answered & (bucket == number) for number in range(len(middles)))
        ]
        latency.plot(middles, values, color=COLOURS[name], label=name, lw=1.2)
    _objective_lines(latency, result.profile.objective)
    for kinds, colour, label in (
        ((Kind.ANSWERED, Kind.REFUSED), "#1b7837", "dealt with as they should"),
        ((Kind.OVERLOADED,), "#e08214", "503"),
        ((Kind.FAILED,), "#b2182b", "failed"),
    ):
        chosen = np.isin(kind, [NUMBERS[each] for each in kinds])
        if chosen.any():
            counts, _ = np.histogram(ended[chosen], edges)
            rate.plot(middles, counts / width, color=colour, label=label, lw=1.2)
    _label(rate, "requests a second")
    rate.set_ylim(0, rate.get_ylim()[1] * 1.2)
    starts = [span.start - begin for span in spans]
    used = [stage.usage.memory_mb or np.nan for stage in result.verdict.stages]
    memory.stairs(used, [*starts, end - begin], baseline=None, label="server, most by stage")
    _label(memory, "memory, MB")
    memory.set_ylim(0, memory.get_ylim()[1] * 1.2)
    memory.set_xlabel("seconds")


def _objective_lines(axis: Axes, objective: Objective) -> None:
    for name, colour in COLOURS.items():
        most = getattr(objective, f"{name}_ms")
        axis.axhline(most, color=colour, lw=0.8, ls="--", label=f"{name} allowed")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(ScalarFormatter())
    _label(axis, "latency, ms")


def _label(axis: Axes, name: str) -> None:
    axis.set_ylabel(name)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="best", ncols=2)
