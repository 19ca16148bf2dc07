"""Promote and evaluate: look, measure, decide, act."""

import logging
import time
from dataclasses import dataclass, replace
from typing import Literal

from mlflow import MlflowClient

from registry import champion, evidence, gates, versions
from registry.champion import State
from registry.errors import RegistryError
from registry.evidence import Evidence, PolicyReference, now, subject, tools, who
from registry.gates import Permission
from registry.ledger import Entry, Ledger, rolled_back
from registry.measure import measure
from registry.policy import Policy
from registry.versions import CANDIDATE, PROMOTE, Version

log = logging.getLogger(__name__)
ATTEMPTS = 20  # each one means that another champion came first, and measures against that one


@dataclass(frozen=True)
class Request:
    """What somebody asked for."""

    name: str
    policy: Policy
    version: int | None = None
    """Without it: what was asked for in the MLflow UI, else the candidate."""
    allowed: frozenset[Permission] = frozenset()
    reason: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    result: Literal["moved", "refused", "passed", "nothing"]
    """`moved` when the champion is another one now, `passed` when it could be."""
    version: Version
    said: str
    evidence: Evidence | None = None
    digest: str | None = None
    """Of the evidence, when it was kept."""
    repaired: tuple[str, ...] = ()
    """What an interrupted command or a hand had left."""


def promote(client: MlflowClient, request: Request) -> Outcome:
    """Make a version champion if every gate lets it; others may be at it at the same time."""
    repaired: tuple[str, ...] = ()
    for _ in range(ATTEMPTS):
        attempt = Attempt.begin(client, request)
        repaired += attempt.repaired
        chosen, named = attempt.choose()
        idle = attempt.idle(chosen, named=named)
        outcome = idle or attempt.act(chosen, attempt.assess(chosen))
        if outcome is not None:
            return replace(outcome, repaired=repaired)
        log.info("another champion came first; measuring again, against that one")
    raise RegistryError(f"others keep promoting versions of {request.name!r}; try again")


def evaluate(client: MlflowClient, request: Request) -> Outcome:
    """Measure and judge a version, and keep the evidence; moves nothing."""
    attempt = Attempt.begin(client, request)
    chosen, _ = attempt.choose()
    document = attempt.assess(chosen)
    digest = None if request.dry_run else attempt.keep(chosen, document)
    said = f"{chosen} {'passes every gate' if document.verdict == 'passed' else 'is refused'}"
    return Outcome(document.verdict, chosen, said, document, digest, attempt.repaired)


@dataclass(frozen=True)
class Attempt:
    """One try against one state of the history."""

    client: MlflowClient
    request: Request
    ledger: Ledger
    state: State
    repaired: tuple[str, ...]

    @classmethod
    def begin(cls, client: MlflowClient, request: Request) -> "Attempt":
        """Repair what was left, or in a dry run only look."""
        ledger = Ledger(client, request.name)
        if request.dry_run:
            state = champion.look(client, ledger)
            left = () if state.left is None else (f"to be repaired: {state.left}",)
            return cls(client, request, ledger, state, left)
        return cls(client, request, ledger, *champion.settle(client, ledger))

    def choose(self) -> tuple[Version, bool]:
        """The version meant, and whether a person named it."""
        name = self.request.name
        number = self.request.version or self.state.asked_for
        if number is not None:
            return versions.resolve(self.client, name, number), True
        tagged = [
            version
            for version in versions.every(self.client, name)
            if version.wanted and version.number != self.state.version
        ]
        if len(tagged) > 1:
            numbers = " and ".join(str(version.number) for version in tagged)
            raise RegistryError(
                f"versions {numbers} of {name!r} all have the tag {PROMOTE}=true; "
                "remove it from all but one, or name one: --version"
            )
        if tagged:
            return tagged[0], True
        return versions.resolve(self.client, name, alias=CANDIDATE), False

    def idle(self, chosen: Version, *, named: bool) -> Outcome | None:
        """Say why there is nothing to do, if so."""
        if chosen.number == self.state.version:
            return Outcome("nothing", chosen, f"{chosen} is champion already")
        entries = [each.entry for each in self.ledger.entries()]
        left = None if named else rolled_back(entries, chosen.number)
        if left is None:
            return None
        said = (
            f"{chosen} was rolled back by {left.by} on {left.at:%Y-%m-%d}; train a new version, or "
            f"insist: python -m registry promote {chosen.name} --version {chosen.number}"
        )
        return Outcome("nothing", chosen, said)

    def assess(self, chosen: Version) -> Evidence:
        """Measure a version against the champion and let every gate speak; writes nothing."""
        started = time.monotonic()
        against = self.state.version
        rival = (
            None
            if against is None or against == chosen.number
            else versions.resolve(self.client, self.request.name, against)
        )
        policy = self.request.policy
        measured = measure(self.client, chosen, rival, policy)
        results = gates.judge(measured, policy, self.request.allowed)
        return Evidence(
            subject=subject(chosen),
            champion=None if rival is None else subject(rival),
            policy=PolicyReference(name=policy.name, digest=policy.digest()),
            allowed=tuple(sorted(self.request.allowed)),
            measurements=measured,
            gates=results,
            verdict="passed" if gates.passed(results) else "refused",
            at=now(),
            by=who(),
            seconds=round(time.monotonic() - started, 1),
            tools=tools(),
        )

    def act(self, chosen: Version, document: Evidence) -> Outcome | None:
        """Do what the evidence says; None when the champion it was measured against is no more."""
        present = self.state.version
        if self.request.dry_run:
            passed = document.verdict == "passed"
            said = f"{chosen} would {'become champion' if passed else 'be refused'}"
            return Outcome(document.verdict, chosen, said, document)
        if self.ledger.head() != self.state.head:
            return None
        if document.verdict == "refused":
            digest = self.keep(chosen, document)
            stays = (
                "there is no champion" if present is None else f"version {present} stays champion"
            )
            said = f"{chosen} is refused; {stays}"
            return Outcome("refused", chosen, said, document, digest)
        digest = evidence.keep(self.client, document)
        evidence.load(self.client, chosen, digest)  # what cannot be read again is no evidence
        entry = Entry(
            action="promote",
            version=chosen.number,
            replaces=present,
            evidence=digest,
            by=document.by,
            at=now(),
            reason=self.request.reason,
        )
        claimed = self.ledger.claim(self.state.head, entry)
        if claimed is None:
            return None
        champion.follow(self.client, self.ledger, claimed)
        over = "the first one" if present is None else f"in place of version {present}"
        return Outcome("moved", chosen, f"{chosen} is champion, {over}", document, digest)

    def keep(self, chosen: Version, document: Evidence) -> str:
        """Store evidence that moves nothing; what made a version champion stays on its page."""
        digest = evidence.keep(self.client, document)
        fresh = versions.resolve(self.client, chosen.name, chosen.number)
        if all(each.entry.version != chosen.number for each in self.ledger.entries()):
            champion.annotate(self.client, fresh, document, digest)
        champion.answer_wish(self.client, fresh)
        return digest
