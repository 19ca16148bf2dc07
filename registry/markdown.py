"""Evidence and history as the MLflow UI shows them: Markdown inside a description.

What else stands in the description (training's ranking, a person's notes) stays as it is.
"""

from collections.abc import Sequence

from registry.evidence import Evidence
from registry.gates import GateResult
from registry.ledger import Numbered

BEGIN, END = "<!-- assay: {} -->", "<!-- assay: end of {} -->"
MARKS = {"passed": "✅ passed", "failed": "❌ failed", "allowed": "⚠️ allowed", "off": "off"}
DONE = {
    "promote": "promoted",
    "rollback": "rolled back to",
    "adopt": "moved by hand to",
    "restore": "put back to",
}
SHOWN_ENTRIES = 20


def replace_section(description: str, name: str, section: str) -> str:
    """Put a section at the top of a description, in place of its former self."""
    begin, end = BEGIN.format(name), END.format(name)
    before, found, rest = description.partition(begin)
    others = before + rest.partition(end)[2] if found else description
    return f"{begin}\n{section.strip()}\n\n{end}\n{others.strip()}".strip() + "\n"


def evidence_section(document: Evidence, digest: str) -> str:
    """The verdict and a table of the gates."""
    failed = [result.gate for result in document.gates if result.outcome == "failed"]
    against = (
        f"champion version {document.champion.version}" if document.champion else "no champion"
    )
    title = "### Evidence: passed" if not failed else f"### Evidence: refused ({', '.join(failed)})"
    lines = [
        title,
        "",
        f"{document.at:%Y-%m-%d %H:%M} UTC by {_cell(document.by)}, against {against}, on "
        f"{document.measurements.data.rows:,} hold-out rows "
        f"(`{document.measurements.data.digest[:12]}`), policy {document.policy.name} "
        f"(`{document.policy.digest[:12]}`).",
        "",
        "| gate | | what was measured |",
        "| --- | --- | --- |",
        *(_row(result) for result in document.gates),
        "",
        f"Model `{document.subject.model_digest[:12]}`, evidence `{digest[:12]}`: artifact "
        f"`evidence/{document.subject.version}/` of run `{document.subject.run_id}`.",
    ]
    return "\n".join(lines)


def _row(result: GateResult) -> str:
    said = "; ".join((result.measured, *(f"**{reason}**" for reason in result.reasons)))
    return f"| {result.gate} | {MARKS[result.outcome]} | {_cell(said)} |"


def history_section(entries: Sequence[Numbered]) -> str:
    """The champion and who moved it, newest first."""
    if not entries:
        return "No version has been promoted."
    head = entries[-1].entry
    now = (
        "No version is champion" if head.version is None else f"Version {head.version} is champion"
    )
    lines = [
        f"### {now} since {head.at:%Y-%m-%d %H:%M} UTC",
        "",
        "| when (UTC) | who | what | over | evidence | why |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_entry(each) for each in reversed(entries[-SHOWN_ENTRIES:])),
    ]
    return "\n".join(lines)


def _entry(each: Numbered) -> str:
    entry = each.entry
    cells = (
        f"{entry.at:%Y-%m-%d %H:%M}",
        entry.by,
        f"{DONE[entry.action]} {entry.version or 'none'}",
        entry.replaces or "-",
        f"`{entry.evidence[:12]}`" if entry.evidence else "-",
        entry.reason or "-",
    )
    return f"| {' | '.join(_cell(str(cell)) for cell in cells)} |"


def _cell(text: str) -> str:
    """Text that a table cell can hold."""
    escaped = text.replace("|", "\\|").replace("<", "&lt;")
    return " ".join(escaped.split())
