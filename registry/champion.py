"""The alias `champion` follows the history: what makes it so, and what repairs it.

Writes go in one order: evidence, then the entry that decides, then tags and descriptions, then the
alias, then the note that all is done. Whatever is missing after a crash follows from the entry.
"""

import logging
from dataclasses import dataclass

from mlflow import MlflowClient

from registry import evidence, markdown, versions
from registry.errors import RegistryError
from registry.evidence import Evidence, now, who
from registry.figures import number
from registry.ledger import Entry, Ledger, Numbered
from registry.versions import CHAMPION, EVIDENCE, PROMOTE, SCORE, VERDICT, Version

log = logging.getLogger(__name__)
ATTEMPTS = 50  # at each one that fails somebody else made progress; more is a quarrel, not a queue


@dataclass(frozen=True)
class State:
    """What is champion, and what has to be done before history, alias and tags agree."""

    head: Numbered | None
    left: str | None = None
    """What was found undone, for people."""
    answer: Entry | None = None
    """The entry that answers a move by hand."""
    asked_for: int | None = None
    """A version without evidence that somebody made champion by hand: a wish to promote it."""

    @property
    def version(self) -> int | None:
        """The champion's number once all is done."""
        last = self.answer or (self.head.entry if self.head else None)
        return last.version if last else None


def look(client: MlflowClient, ledger: Ledger) -> State:
    """Compare history and alias; writes nothing."""
    for _ in range(ATTEMPTS):
        head = ledger.head()
        if head is not None and not head.done:
            return State(head, f"an unfinished {_begun(head.entry)}")
        number = versions.number_under(client, ledger.name, CHAMPION)
        if ledger.head() != head:
            continue  # the alias may belong to the newer entry
        if number == (head.entry.version if head else None):
            return State(head)
        return _moved(client, ledger.name, head, number)
    raise _busy(ledger)


def settle(client: MlflowClient, ledger: Ledger) -> tuple[State, tuple[str, ...]]:
    """Finish what was interrupted and answer moves by hand; returns what it repaired, too."""
    repaired: list[str] = []
    asked_for: int | None = None
    for _ in range(ATTEMPTS):
        state = look(client, ledger)
        if state.left is None:
            return State(state.head, asked_for=asked_for), tuple(repaired)
        entry = state.head if state.answer is None else ledger.claim(state.head, state.answer)
        if entry is not None:
            follow(client, ledger, entry)
            repaired.append(state.left)
            asked_for = state.asked_for or asked_for
    raise _busy(ledger)


def follow(client: MlflowClient, ledger: Ledger, decided: Numbered) -> None:
    """Make tags, descriptions and, last, the alias say what the entry says; then note it."""
    for _ in range(ATTEMPTS):
        _describe(client, ledger, decided)
        if ledger.head() == decided:
            _point(client, ledger.name, decided.entry.version)
        # Whoever was slow between these two may have put back an older champion: look again, and
        # go on until the alias says what the last entry says.
        head = ledger.head() or decided
        number = versions.number_under(client, ledger.name, CHAMPION)
        if head.number == decided.number and (head.done or number == head.entry.version):
            ledger.finish(decided.number, f"{who()} {now():%Y-%m-%dT%H:%M:%SZ}")
            return
        decided = head
    raise _busy(ledger)


def proof(client: MlflowClient, version: Version) -> tuple[Evidence, str] | None:
    """The evidence on which a version may be champion, or None."""
    digest = version.tags.get(EVIDENCE)
    if digest is None:
        return None
    try:
        document = evidence.load(client, version, digest)
    except RegistryError as error:
        log.warning("%s", error)
        return None
    return (document, digest) if document.verdict == "passed" else None


def annotate(client: MlflowClient, version: Version, document: Evidence, digest: str) -> None:
    """Tag the version with its evidence and show it on the version's page."""
    section = markdown.evidence_section(document, digest)
    text = markdown.replace_section(version.description, "evidence", section)
    if text != version.description:
        client.update_model_version(version.name, str(version.number), text)
    quality = document.measurements.quality
    score = ""
    if not isinstance(quality, str):
        score = f"{quality.metric} {number(quality.candidate.value)}"
    for key, value in ((SCORE, score), (EVIDENCE, digest), (VERDICT, document.verdict)):
        if version.tags.get(key) != value:
            versions.set_tag(client, version, key, value)


def answer_wish(client: MlflowClient, version: Version) -> None:
    """Remove the tag that asked for a promotion: it was decided, one way or the other."""
    if PROMOTE in version.tags:
        client.delete_model_version_tag(version.name, str(version.number), PROMOTE)


def _moved(client: MlflowClient, name: str, head: Numbered | None, number: int | None) -> State:
    """Answer an alias that history knows nothing of: adopt a proven version, else put it back."""
    before = head.entry.version if head else None
    moved = f"champion was moved by hand from {_called(before)} to {_called(number)}"
    if number is not None:
        proven = proof(client, versions.resolve(client, name, number))
        if proven is not None:
            entry = _entry("adopt", number, before, proven[1], "moved by hand in MLflow")
            return State(head, f"{moved}, which has evidence", entry)
    if before is not None and versions.exists(client, name, before):
        kept = head.entry.evidence if head else None
        entry = _entry("restore", before, number, kept, f"{moved}, without evidence")
        return State(head, f"{moved}, without evidence: put back", entry, number)
    entry = _entry("restore", None, before, None, f"{moved}, without evidence")
    return State(head, f"{moved}, without evidence: no version is champion", entry, number)


def _describe(client: MlflowClient, ledger: Ledger, decided: Numbered) -> None:
    entry = decided.entry
    if entry.version is not None and entry.evidence is not None:
        version = versions.resolve(client, ledger.name, entry.version)
        try:
            document = evidence.load(client, version, entry.evidence)
        except RegistryError as error:  # it was there when the entry was written
            log.warning("%s", error)
        else:
            annotate(client, version, document, entry.evidence)
        answer_wish(client, version)
    model = client.get_registered_model(ledger.name)
    section = markdown.history_section(ledger.entries())
    text = markdown.replace_section(model.description or "", "history", section)
    if text != model.description:
        client.update_registered_model(ledger.name, text)


def _point(client: MlflowClient, name: str, number: int | None) -> None:
    if number is None:
        client.delete_registered_model_alias(name, CHAMPION)
    elif versions.number_under(client, name, CHAMPION) != number:
        versions.set_alias(client, name, CHAMPION, number)


def _entry(
    action: str, version: int | None, replaces: int | None, digest: str | None, reason: str
) -> Entry:
    return Entry.model_validate(
        {
            "action": action,
            "version": version,
            "replaces": replaces,
            "evidence": digest,
            "by": who(),
            "at": now(),
            "reason": reason,
        }
    )


def _begun(entry: Entry) -> str:
    return (
        f"{entry.action} of {_called(entry.version)}, begun by {entry.by} at "
        f"{entry.at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _called(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"


def _busy(ledger: Ledger) -> RegistryError:
    return RegistryError(f"others keep changing {ledger.name!r}; try again")
