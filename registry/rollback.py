"""Return to a former champion: its evidence still stands, so nothing is measured."""

from mlflow import MlflowClient

from registry import champion, evidence, versions
from registry.errors import RegistryError
from registry.evidence import now, who
from registry.ledger import Entry, Ledger, former
from registry.promotion import Outcome


def rollback(
    client: MlflowClient,
    name: str,
    to: int | None = None,
    *,
    reason: str = "",
    dry_run: bool = False,
) -> Outcome:
    """Make the champion before the present one, or the former one `to`, champion again."""
    ledger = Ledger(client, name)
    repaired: tuple[str, ...] = ()
    if dry_run:
        state = champion.look(client, ledger)
    else:
        state, repaired = champion.settle(client, ledger)
    entries = [each.entry for each in ledger.entries()]
    if to is None:
        to = next((each for each in former(entries) if versions.exists(client, name, each)), None)
    number, digest = _target(name, entries, state.version, to)
    version = versions.resolve(client, name, number)
    document = evidence.load(client, version, digest)
    over = "" if state.version is None else f", in place of version {state.version}"
    if dry_run:
        return Outcome("passed", version, f"{version} would be champion again{over}", document)
    entry = Entry(
        action="rollback",
        version=number,
        replaces=state.version,
        evidence=digest,
        by=who(),
        at=now(),
        reason=reason,
    )
    claimed = ledger.claim(state.head, entry)
    if claimed is None:
        raise RegistryError(
            f"the champion of {name!r} changed meanwhile; see: python -m registry history {name}"
        )
    champion.follow(client, ledger, claimed)
    said = f"{version} is champion again{over}"
    return Outcome("moved", version, said, document, digest, repaired)


def _target(
    name: str, entries: list[Entry], present: int | None, to: int | None
) -> tuple[int, str]:
    """The version to return to and the evidence that it was champion on."""
    if to is None:
        raise RegistryError(f"{name!r} has no champion before the present one")
    if to == present:
        raise RegistryError(f"{name} version {to} is champion already")
    for entry in reversed(entries):
        if entry.version == to and entry.evidence is not None:
            return to, entry.evidence
    raise RegistryError(
        f"{name} version {to} was never champion; promote it: "
        f"python -m registry promote {name} --version {to}"
    )
