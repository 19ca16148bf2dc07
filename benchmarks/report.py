"""Results as a page of Markdown."""

import textwrap
from collections.abc import Iterator

from benchmarks.results import Case, Results
from benchmarks.summary import (
    Figure,
    Verdict,
    failures,
    fewest_and_most,
    noise,
    ratio,
    values,
    verdicts,
)

MEASURES = {
    "requests_per_second": "requests/s",
    "p99_ms": "p99",
    "memory_mb": "memory",
    "seconds": "start to first answer",
}
GLANCE = """\
| server | requests/s, {1} | times {0} | requests/s, {2} | times {0} \
| p99 ms, {2} | CPU ms a request | memory MB | start s |
| --- | --: | --: | --: | --: | --: | --: | --: | --: |"""
DETAIL = """\
| server | connections | requests/s | times {0} | p50 ms | p99 ms | CPU ms a request | failed |
| --- | --: | --: | --: | --: | --: | --: | --: |"""


def page(results: Results, picture: str) -> str:
    """The whole page; tables compare with the first contender that was measured in the case."""
    return "\n".join(_lines(results, picture)) + "\n"


def verdict_line(verdict: Verdict) -> str:
    """One objective in words."""
    objective, figure = verdict.objective, verdict.ratio
    case = objective.case
    where = "" if case is None else f", {case.way} at {_connections(case.connections)}"
    wanted = f"{'≥' if objective.at_least else '≤'} {_number(objective.bound)}"
    return (
        f"{'holds' if verdict.holds else 'MISSED'}: {objective.contender.name}, "
        f"{MEASURES[objective.measure]}{where}: {_number(figure.median)} times "
        f"{verdict.against} ({_number(figure.low)} to {_number(figure.high)}), wanted {wanted}"
    )


def _lines(results: Results, picture: str) -> Iterator[str]:
    yield f"# Servers of one model: {results.circumstances.model}"
    yield ""
    yield from results.circumstances.head()
    yield f"![Bars of what matters most]({picture})"
    yield ""
    yield from _method(results)
    judged = verdicts(results)
    if judged:
        yield "## Objectives"
        yield ""
        yield from (f"- {verdict_line(each)}" for each in judged)
        yield ""
    yield "## One row, REST"
    yield ""
    yield GLANCE.format(
        _names(results, "REST", 1)[0],
        *(_connections(case.connections) for case in fewest_and_most(results)),
    )
    yield from (_glance(results, name) for name in _names(results, "REST", 1))
    yield ""
    yield "## All cases"
    for way, rows in sorted({(m.case.way, m.case.rows) for m in results.measured}):
        yield ""
        yield f"### {way}, {_rows(rows)} in a request"
        yield ""
        yield DETAIL.format(_names(results, way, rows)[0])
        yield from _details(results, way, rows)
    yield from results.circumstances.foot()


def _method(results: Results) -> Iterator[str]:
    rounds = max(each.round for each in results.started)
    windows = ", ".join(
        f"{seconds:g} s with {_rows(rows)}" for rows, seconds in results.seconds.items()
    )
    busiest = max(each.client_busy for each in results.measured)
    rates = ", ".join(
        f"{each.requests_per_second:,.0f}/s over {each.case.way} at "
        f"{_connections(each.case.connections)}"
        for each in results.ceiling
    )
    yield _paragraph(
        f"Median (lowest to highest) of {rounds} rounds. In each, every server is started on a "
        "core of its own with one thread for BLAS and OpenMP, must give the trained pipeline's "
        f"answers, is asked in a closed loop from the other core (for {windows} in a request), and "
        "is stopped. Every answer is checked, in timed windows too. Memory is what a server's "
        "processes hold after the load, shared pages counted once; start is the time to the first "
        "right answer. Stock is measured with MLServer's defaults and without workers; objectives "
        "are held against the better one. It cannot answer with text over gRPC: there it is "
        "measured with apps/repaired.py."
    )
    yield ""
    yield _paragraph(
        f"Against a server that does nothing, the client alone makes {rates}. Its core was at most "
        f"{busiest:.0%} busy; other processes took at most {noise(results):.0%} of the server's."
    )
    broken = failures(results)
    if broken:
        counts = ", ".join(f"{name}: {count}" for name, count in broken.items())
        yield ""
        yield f"Requests that failed or were answered wrongly: {counts}."
    yield ""


def _glance(results: Results, name: str) -> str:
    one, many = fewest_and_most(results)
    stock = _names(results, "REST", 1)[0]
    cells = [
        _cell(results, name, "requests_per_second", one),
        _times(ratio(results, name, stock, "requests_per_second", one)),
        _cell(results, name, "requests_per_second", many),
        _times(ratio(results, name, stock, "requests_per_second", many)),
        _cell(results, name, "p99_ms", many),
        _cell(results, name, "cpu_ms", many),
        _cell(results, name, "memory_mb", None),
        _cell(results, name, "seconds", None),
    ]
    return f"| {' | '.join([name, *cells])} |"


def _details(results: Results, way: str, rows: int) -> Iterator[str]:
    names = _names(results, way, rows)
    counts = sorted({m.case.connections for m in results.measured if m.case.way == way})
    for name in names:
        for count in counts:
            case = Case(way=way, rows=rows, connections=count)
            failed = sum(values(results, name, "failures", case))
            cells = [
                f"{count}",
                _cell(results, name, "requests_per_second", case, spread=True),
                _times(ratio(results, name, names[0], "requests_per_second", case)),
                _cell(results, name, "p50_ms", case),
                _cell(results, name, "p99_ms", case, spread=True),
                _cell(results, name, "cpu_ms", case),
                f"{failed:.0f}",
            ]
            yield f"| {' | '.join([name, *cells])} |"


def _names(results: Results, way: str, rows: int) -> list[str]:
    """Contenders measured so, in the order of the first round."""
    found = [m for m in results.measured if m.case.way == way and m.case.rows == rows]
    return list(dict.fromkeys(m.contender for m in found))


def _cell(
    results: Results, name: str, measure: str, case: Case | None, *, spread: bool = False
) -> str:
    found = values(results, name, measure, case)
    if not found:
        return "-"
    figure = Figure.of(found)
    shown = _number(figure.median)
    return f"{shown} ({_number(figure.low)} to {_number(figure.high)})" if spread else shown


def _times(figure: Figure | None) -> str:
    return "-" if figure is None else _number(figure.median)


def _number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 110)


def _rows(rows: int) -> str:
    return "one row" if rows == 1 else f"{rows} rows"


def _connections(count: int) -> str:
    return "1 connection" if count == 1 else f"{count} connections"
