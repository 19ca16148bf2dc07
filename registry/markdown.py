"""Evidence and history as the MLflow UI shows them: Markdown inside a description.

What else stands in the description (training's ranking, a person's notes) stays as it is.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from registry.evidence import Evidence
from registry.gates import GateResult
from registry.ledger import Numbered

BEGIN, END = "<!-- assay: {} -->", "<!-- assay: end of {} -->"
DONE = {
    "promote": "promoted",
    "rollback": "rolled back to",
    "adopt": "moved by hand to",
    "restore": "put back to",
}
GAP = "&emsp;"  # MLflow draws tables without any space between columns
SHOWN_ENTRIES = 20


def replace_section(description: str, name: str, section: str) -> str:
    """Put a section at the top of a description, in place of its former self.

    Its first line comes before the mark: MLflow's lists show how a description begins, as it is.
    """
    begin, end = BEGIN.format(name), END.format(name)
    first, _, rest = section.strip().partition("\n")
    former = re.compile(
        rf"^[^\n]*{re.escape(begin)}.*?{re.escape(end)}\n*", re.DOTALL | re.MULTILINE
    )
    others = former.sub("", description).strip()
    return f"{first} {begin}\n\n{rest.strip()}\n\n{end}\n\n{others}".strip() + "\n"


def evidence_section(document: Evidence, digest: str) -> str:
    """The verdict and a table of the gates."""
    against = (
        f"champion version {document.champion.version}" if document.champion else "no champion"
    )
    data, policy = document.measurements.data, document.policy
    return "\n".join(
        (
            _verdict(document.gates),
            "",
            f"{document.at:%Y-%m-%d %H:%M} UTC by {_cell(document.by)}, against {against}, on "
            f"{data.rows:,} hold-out rows (`{data.digest[:12]}`), policy {policy.name} "
            f"(`{policy.digest[:12]}`).",
            "",
            *_table(("gate", "", "measured"), map(_gate, document.gates)),
            "",
            f"Model `{document.subject.model_digest[:12]}`, evidence `{digest[:12]}`: artifact "
            f"`evidence/{document.subject.version}/` of run `{document.subject.run_id}`.",
            "",
            "---",
        )
    )


def _verdict(results: Sequence[GateResult]) -> str:
    def those(outcome: str) -> str:
        return ", ".join(result.gate for result in results if result.outcome == outcome)

    if failed := those("failed"):
        return f"Refused: {failed}."
    off = f", but for what the policy does not ask: {those('off')}" if those("off") else ""
    allowed = f"; allowed on request: {those('allowed')}" if those("allowed") else ""
    return f"Passed every gate{off}{allowed}."


def _gate(result: GateResult) -> tuple[str, ...]:
    outcome = f"**{result.outcome}**" if result.reasons else result.outcome
    reasons = (f"**{_cell(reason)}**" for reason in result.reasons)
    return result.gate, outcome, "; ".join((_cell(result.measured), *reasons))


def history_section(entries: Sequence[Numbered]) -> str:
    """The champion and who moved it, newest first."""
    head = entries[-1].entry
    now = "No version" if head.version is None else f"Version {head.version}"
    header = ("when (UTC)", "who", "what", "over", "evidence", "why")
    shown = reversed(entries[-SHOWN_ENTRIES:])
    return "\n".join(
        (
            f"{now} is champion since {head.at:%Y-%m-%d %H:%M} UTC.",
            "",
            *_table(header, map(_entry, shown)),
            "",
            "---",
        )
    )


def _entry(each: Numbered) -> tuple[str, ...]:
    entry = each.entry
    return (
        f"{entry.at:%Y-%m-%d %H:%M}",
        _cell(entry.by),
        f"{DONE[entry.action]} {entry.version or 'none'}",
        str(entry.replaces or "-"),
        f"`{entry.evidence[:12]}`" if entry.evidence else "-",
        _cell(entry.reason) or "-",
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for line in (header, ["---"] * len(header), *rows):
        gap = "" if line[0] == "---" else GAP
        yield f"| {' | '.join(f'{cell}{gap}' for cell in line[:-1])} | {line[-1]} |"


def _cell(text: str) -> str:
    """Text that a table cell can hold."""
    escaped = text.replace("|", "\\|").replace("<", "&lt;")
    return " ".join(escaped.split())
