"""Results as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from benchmarks.contenders import BARE
from benchmarks.results import Case, Results
from benchmarks.summary import Figure, fewest_and_most, values

ASSAY, LIMIT, OTHERS = "#c2410c", "#334155", "#94a3b8"


def _panels(results: Results) -> list[tuple[str, str, Case | None]]:
    """Title, measure and case of each."""
    few, many = fewest_and_most(results)
    return [
        (f"Requests a second, connections: {few.connections}", "requests_per_second", few),
        (f"Requests a second, connections: {many.connections}", "requests_per_second", many),
        (f"p99 in ms, connections: {many.connections}", "p99_ms", many),
        (f"CPU ms a request, connections: {many.connections}", "cpu_ms", many),
        ("Memory under load, MB", "memory_mb", None),
        ("Start to first right answer, s", "seconds", None),
    ]


def draw(results: Results, path: Path) -> None:
    """Bars of what matters most, one row over REST; whiskers span the rounds."""
    mpl.use("agg")
    from matplotlib import pyplot

    asked = [m.contender for m in results.measured if m.case.way == "REST"]
    names = list(dict.fromkeys(asked))[::-1]  # the first one on top
    figure, axes = pyplot.subplots(3, 2, figsize=(12, 2.2 + 1.1 * len(names)), sharey=True)
    for axis, (title, measure, case) in zip(axes.flat, _panels(results), strict=True):
        found = {name: values(results, name, measure, case) for name in names}
        figures = [Figure.of(each) if each else Figure(0, 0, 0) for each in found.values()]
        medians = [each.median for each in figures]
        whiskers = [
            [each.median - each.low for each in figures],
            [each.high - each.median for each in figures],
        ]
        colors = [_color(name) for name in names]
        axis.barh(names, medians, color=colors, xerr=whiskers, error_kw={"lw": 1, "capsize": 2})
        for name, each in zip(names, figures, strict=True):
            label = f"{each.median:,.0f}" if each.median >= 100 else f"{each.median:.3g}"
            axis.annotate(
                label, (each.high, name), xytext=(5, 0), textcoords="offset points", va="center"
            )
        if case is not None:  # these span orders of magnitude
            axis.set_xscale("log")
        scale = "" if case is None else " (logarithmic)"
        axis.set_title(title + scale, loc="left", fontsize=11)
        axis.margins(x=0.18)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"{results.circumstances.model}: one row, V2 REST or nearest, server on one core", x=0.5
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _color(name: str) -> str:
    if name.startswith("Assay"):
        return ASSAY
    return LIMIT if name == BARE.name else OTHERS


def draw_memory(memory: Sequence[tuple[float, float]], caption: str, path: Path) -> None:
    """Resident memory over time."""
    mpl.use("agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(10, 4.5))
    axis.plot([seconds / 60 for seconds, _ in memory], [mb for _, mb in memory], color=ASSAY)
    axis.set_ylim(0, max(mb for _, mb in memory) * 1.15)
    axis.set_xlabel("minutes")
    axis.set_ylabel("resident MB")
    axis.set_title(caption, loc="left", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
