"""What each verb of `python -m registry` does: the lines to print and the exit code."""

import argparse
from collections.abc import Iterable
from typing import NamedTuple

from registry import champion, comparison, lineage, policy, promotion, store, terminal, versions
from registry.errors import RegistryError
from registry.gates import Permission
from registry.ledger import LONGEST_REASON, Ledger
from registry.promotion import Outcome, Request
from registry.rollback import rollback as roll_back

REFUSED = 3


class Said(NamedTuple):
    """What to print, and how to exit."""

    lines: Iterable[str]
    code: int = 0


def promote(options: argparse.Namespace) -> Said:
    """Measure, decide, and make the version champion."""
    request = _request(options)
    return _said(promotion.promote(store.connect(), request))


def evaluate(options: argparse.Namespace) -> Said:
    """Measure and judge, and keep the evidence; the champion stays."""
    request = _request(options)
    return _said(promotion.evaluate(store.connect(), request))


def rollback(options: argparse.Namespace) -> Said:
    """Make a former champion champion again."""
    reason = _reason(options)
    return _said(
        roll_back(store.connect(), options.name, options.to, reason=reason, dry_run=options.dry_run)
    )


def show(options: argparse.Namespace) -> Said:
    """List the versions of a model, and what is champion since when."""
    client = store.connect()
    state = champion.look(client, Ledger(client, options.name))
    every = versions.every(client, options.name)
    return Said(terminal.shown(options.name, every, state.head, state.left))


def history(options: argparse.Namespace) -> Said:
    """Tell who made what champion, over what, when and why."""
    entries = Ledger(store.connect(), options.name).entries()
    if not entries:
        return Said([f"no version of {options.name!r} has been promoted"])
    return Said(terminal.history(entries))


def compare(options: argparse.Namespace) -> Said:
    """Score two versions on the same rows."""
    found = comparison.compare(
        store.connect(), options.name, options.a, options.b, policy.read(options.policy)
    )
    return Said(terminal.compared(found))


def whence(options: argparse.Namespace) -> Said:
    """Print the chain from git commit to evidence."""
    return Said(terminal.chains(lineage.whence(store.connect(), options.what)))


def _request(options: argparse.Namespace) -> Request:
    allowed: set[Permission] = set()
    if options.allow_breaking:
        allowed.add("breaking")
    if options.allow_dirty:
        allowed.add("dirty")
    return Request(
        name=options.name,
        policy=policy.read(options.policy),
        version=options.version,
        allowed=frozenset(allowed),
        reason=_reason(options),
        dry_run=options.dry_run,
    )


def _reason(options: argparse.Namespace) -> str:
    reason: str = options.reason
    if len(reason) > LONGEST_REASON:
        raise RegistryError(f"the reason is longer than {LONGEST_REASON} characters; shorten it")
    return reason


def _said(outcome: Outcome) -> Said:
    return Said(terminal.outcome(outcome), REFUSED if outcome.result == "refused" else 0)
