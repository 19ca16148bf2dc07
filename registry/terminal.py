"""What the commands print: lines and aligned tables, made from what they found."""

from collections.abc import Iterable, Iterator, Sequence

from registry.artifact import Interval
from registry.comparison import Comparison
from registry.evidence import Evidence
from registry.figures import interval, number
from registry.ledger import Numbered
from registry.lineage import Chain
from registry.markdown import DONE
from registry.promotion import Outcome
from registry.versions import CHAMPION, SCORE, VERDICT, Version

SHORT = 12  # digits of a digest


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Columns as wide as their widest cell; the last one runs free."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def outcome(found: Outcome) -> Iterator[str]:
    """The gates one by one, the reasons under them, and what came of it."""
    for repaired in found.repaired:
        yield f"repaired: {repaired}"
    if found.evidence is not None:
        yield from _gates(found.evidence)
        yield ""
    yield found.said
    if found.digest is not None:
        yield f"evidence {found.digest[:SHORT]}, kept with the version's run"


def _gates(document: Evidence) -> Iterator[str]:
    against = document.champion
    yield (
        f"{document.subject.name} version {document.subject.version} against "
        + (f"champion version {against.version}" if against else "no champion")
        + f", policy {document.policy.name}, {document.seconds:.0f} s"
    )
    lines = table(
        ("gate", "outcome", "measured"),
        ((each.gate, each.outcome, each.measured) for each in document.gates),
    )
    yield lines[0]
    for line, result in zip(lines[1:], document.gates, strict=True):
        yield line
        for reason in result.reasons:
            yield f"  -> {reason}"


def shown(
    name: str, versions: Sequence[Version], head: Numbered | None, left: str | None
) -> Iterator[str]:
    """All versions of a model, and what is champion since when."""
    if left is not None:
        yield f"left behind: {left}; the next promote, evaluate or rollback repairs it"
    if head is None or head.entry.version is None:
        yield f"{name} has no champion; promote a version: python -m registry promote {name}"
    else:
        entry = head.entry
        yield (
            f"{name}: version {entry.version} is {CHAMPION} since {entry.at:%Y-%m-%d %H:%M} UTC, "
            f"{DONE[entry.action]} by {entry.by}"
        )
    yield ""
    yield from table(
        ("version", "aliases", "verdict", "score", "registered (UTC)", "model", "run"),
        (
            (
                version.number,
                ", ".join(version.aliases) or "-",
                version.tags.get(VERDICT, "not evaluated"),
                version.tags.get(SCORE) or "-",
                f"{version.created:%Y-%m-%d %H:%M}",
                version.digest[:SHORT],
                version.run_id[:SHORT],
            )
            for version in versions
        ),
    )


def history(entries: Sequence[Numbered]) -> Iterator[str]:
    """Who made what champion, over what, when and why; newest first."""
    yield from table(
        ("#", "when (UTC)", "who", "what", "over", "evidence", "why"),
        (
            (
                each.number,
                f"{each.entry.at:%Y-%m-%d %H:%M:%S}",
                each.entry.by,
                f"{DONE[each.entry.action]} {each.entry.version or 'none'}"
                + ("" if each.done else " (unfinished)"),
                each.entry.replaces or "-",
                (each.entry.evidence or "-")[:SHORT],
                each.entry.reason or "-",
            )
            for each in reversed(entries)
        ),
    )


def compared(found: Comparison) -> Iterator[str]:
    """Scores on the same rows, groups that moved most, and what clients would notice."""
    first, second, measured = found.first, found.second, found.measured
    scores = measured.quality
    yield f"{first} and version {second.number}, on {measured.data.rows:,} of its held-out rows"
    yield ""
    if isinstance(scores, str):
        yield scores
        return
    if scores.champion is None or scores.over_champion is None:
        yield str(scores.incomparable)
        return
    rows: list[tuple[str, str, str, str]] = [
        (
            scores.metric,
            interval(scores.champion),
            interval(scores.candidate),
            _gain(scores.over_champion),
        )
    ]
    if not isinstance(measured.slices, str):
        moved = sorted(measured.slices.groups, key=lambda group: -abs(group.gain.value))
        rows += [
            (
                f"{group.column}={group.value} ({group.rows} rows)",
                number(group.champion),
                number(group.candidate),
                _gain(group.gain),
            )
            for group in moved[:10]
        ]
    if isinstance(measured.errors, tuple):
        rows += [
            (
                f"{each.quantile:.0%} of the errors below",
                "-" if each.champion is None else number(each.champion),
                number(each.candidate),
                "",
            )
            for each in measured.errors
        ]
    yield from table(
        ("", f"version {first.number}", f"version {second.number}", "gain (95 %)"), rows
    )
    yield ""
    if not measured.breaking:
        yield f"clients of version {first.number} go on working with version {second.number}"
    for change in measured.breaking:
        yield f"breaks clients of version {first.number}: {change}"


def chains(found: Sequence[Chain]) -> Iterator[str]:
    """From commit to evidence, one step a line and an empty line between versions."""
    for position, each in enumerate(found):
        if position:
            yield ""
        yield from _chain(each)


def _chain(found: Chain) -> Iterator[str]:
    version, identity = found.version, found.identity
    dirty = " with changes that are not committed" if identity.git_dirty else ""
    yield from table(
        ("git commit", f"{identity.git_commit or 'none'}{dirty}"),
        (
            ("run", version.run_id),
            ("version", f"{version} {' '.join(f'@{alias}' for alias in version.aliases)}"),
            ("model", version.digest),
            ("hold-out", f"{identity.holdout_rows} rows, data {identity.data_digest}"),
            ("evidence", version.tags.get("assay.evidence", "none")),
            ("verdict", version.tags.get(VERDICT, "not evaluated")),
        ),
    )


def _gain(found: Interval) -> str:
    return f"{found.value:+.3g} ({found.low:+.3g} to {found.high:+.3g})"
