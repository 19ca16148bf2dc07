"""Promotion by evidence, on real stores: who is let through, who is not, and what is kept of it."""

import json
from pathlib import Path

import pytest
from conftest import Run, Store, champion_of, failed, kept

from registry import champion, evidence, versions
from registry.errors import RegistryError
from registry.ledger import Ledger
from registry.versions import CHAMPION, Version

REFUSED = {
    "worse": ("worse", ["quality", "slices", "errors"], "is allowed"),
    "leaking": ("leaking", ["plausibility", "contract"], "column 'price_eur' tells"),
    "contract-breaking": ("breaking", ["quality", "contract"], "column 'lot' was dropped"),
    "dirty git": ("dirty", ["provenance"], "changes that are not committed"),
}


@pytest.fixture(scope="module")
def refusals() -> dict[str, str]:
    """The model to be refused in, by store: no refusal moves its champion."""
    return {}


@pytest.mark.parametrize(("recipe", "gates", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(
    store: Store,
    run: Run,
    unserved: str,
    refusals: dict[str, str],
    recipe: str,
    gates: list[str],
    reason: str,
) -> None:
    if store.uri not in refusals:
        name = refusals[store.uri] = store.publish("first")
        assert run("promote", name, "--policy", unserved)[0] == 0
    name = refusals[store.uri]
    store.publish(recipe, name=name)
    client = store.client()
    candidate = versions.resolve(client, name, alias="candidate")
    before = Ledger(client, name).entries()

    code, said = run("promote", name, "--policy", unserved)

    assert code == 3
    assert reason in said
    assert f"{candidate} is refused; version 1 stays champion" in said
    assert champion_of(client, name) == 1
    assert Ledger(client, name).entries() == before
    document = kept(client, name, candidate.number)
    assert failed(document) == gates
    assert document.champion is not None
    assert document.champion.version == 1
    described = versions.resolve(client, name, candidate.number).description
    assert described.startswith(f"Refused: {', '.join(gates)}. <!-- assay: evidence -->\n")
    assert described.endswith("\n\nRanking of training.\n")


def test_promoted_rolled_back_and_shown(store: Store, run: Run, unserved: str) -> None:
    name = store.publish("first", "better")
    client = store.client()
    assert run("promote", name, "--policy", unserved, "--version", "1")[0] == 0

    code, said = run("promote", name, "--policy", unserved, "--reason", "smaller error")
    assert code == 0
    assert f"{name} version 2 is champion, in place of version 1" in said
    document = kept(client, name, 2)
    assert failed(document) == []
    assert "; better, gain over the champion's" in document.gates[0].measured
    assert document.measurements.data.champion_digest == document.measurements.data.digest
    model = client.get_registered_model(name)
    assert model.description.startswith("Version 2 is champion since")

    code, said = run("rollback", name, "--reason", "customers complain")
    assert code == 0
    assert f"{name} version 1 is champion again, in place of version 2" in said
    assert champion_of(client, name) == 1

    code, said = run("show", name)
    assert code == 0
    assert f"{name}: version 1 is champion since" in said
    (row,) = (line for line in said.splitlines() if line.startswith("2 "))
    assert row.split()[1:4] == ["candidate", "passed", "rmse"]

    code, said = run("history", name)
    newest, middle, oldest = said.splitlines()[1:]
    assert "rolled back to 1" in newest
    assert newest.endswith("customers complain")
    assert "promoted 2" in middle
    assert middle.endswith("smaller error")
    assert "promoted 1" in oldest

    code, said = run("promote", name, "--policy", unserved)
    assert code == 0
    assert "version 2 was rolled back by" in said
    assert champion_of(client, name) == 1
    assert run("promote", name, "--policy", unserved, "--version", "2")[0] == 0
    assert champion_of(client, name) == 2


def test_champion_is_scored_again_on_new_rows(sqlite: Store, run: Run, unserved: str) -> None:
    name = sqlite.publish("first", "better on new rows")
    assert run("promote", name, "--policy", unserved, "--version", "1")[0] == 0
    assert run("promote", name, "--policy", unserved)[0] == 0
    client = sqlite.client()
    before, after = kept(client, name, 1), kept(client, name, 2)
    assert after.measurements.data.digest != before.measurements.data.digest
    assert after.measurements.data.champion_digest == before.measurements.data.digest
    there, here = before.measurements.quality.candidate, after.measurements.quality.champion
    assert here.value != there.value
    assert here.value == pytest.approx(there.value, rel=0.1)


def test_breaking_is_possible_when_asked_for_and_recorded(
    sqlite: Store, run: Run, unserved: str
) -> None:
    name = sqlite.publish("first", "breaking")
    run("promote", name, "--policy", unserved, "--version", "1")
    assert run("promote", name, "--policy", unserved)[0] == 3
    assert run("promote", name, "--policy", unserved, "--allow-breaking")[0] == 0
    document = kept(sqlite.client(), name, 2)
    assert document.allowed == ("breaking",)
    (contract,) = (result for result in document.gates if result.gate == "contract")
    assert contract.outcome == "allowed"
    assert contract.reasons == ("column 'lot' was dropped",)


def test_evaluate_and_dry_runs_move_nothing(sqlite: Store, run: Run, unserved: str) -> None:
    name = sqlite.publish("first", "better")
    client = sqlite.client()
    code, said = run("promote", name, "--policy", unserved, "--version", "1", "--dry-run")
    assert code == 0
    assert "version 1 would become champion" in said
    assert champion_of(client, name) is None
    assert versions.resolve(client, name, 1).tags.keys() == {"assay.digest"}

    run("promote", name, "--policy", unserved, "--version", "1")
    code, said = run("evaluate", name, "--policy", unserved)
    assert code == 0
    assert "version 2 passes every gate" in said
    assert champion_of(client, name) == 1
    assert kept(client, name, 2).verdict == "passed"

    run("promote", name, "--policy", unserved)
    before = Ledger(client, name).entries()
    code, said = run("rollback", name, "--dry-run")
    assert "version 1 would be champion again" in said
    assert Ledger(client, name).entries() == before
    assert champion_of(client, name) == 2


def test_evidence_of_a_champion_is_not_replaced(sqlite: Store, run: Run, unserved: str) -> None:
    """Refused today, version 1 keeps the evidence that it was champion on; both are stored."""
    name = sqlite.publish("first", "better")
    client = sqlite.client()
    run("promote", name, "--policy", unserved, "--version", "1")
    run("promote", name, "--policy", unserved)
    first = kept(client, name, 1)
    assert run("promote", name, "--policy", unserved, "--version", "1")[0] == 3
    assert kept(client, name, 1) == first
    stored = client.list_artifacts(first.subject.run_id, "evidence/1")
    assert len(stored) == 2


def test_a_persons_choice_in_the_ui_counts(sqlite: Store, run: Run, unserved: str) -> None:
    name = sqlite.publish("first", "better", "better", "better")
    client = sqlite.client()
    client.set_registered_model_alias(name, "candidate", "1")
    run("promote", name, "--policy", unserved)
    assert champion_of(client, name) == 1

    client.set_model_version_tag(name, "3", "promote", "true")
    run("promote", name, "--policy", unserved)
    assert champion_of(client, name) == 3
    assert "promote" not in versions.resolve(client, name, 3).tags

    for number in ("2", "4"):
        client.set_model_version_tag(name, number, "promote", "true")
    code, said = run("promote", name, "--policy", unserved)
    assert code == 1
    assert "versions 4 and 2 of" in said
    assert "all have the tag promote=true" in said


def test_champion_moved_by_hand(sqlite: Store, run: Run, unserved: str) -> None:
    name = sqlite.publish("first", "better", "worse")
    client = sqlite.client()
    run("promote", name, "--policy", unserved, "--version", "1")
    run("promote", name, "--policy", unserved, "--version", "2")

    client.set_registered_model_alias(name, CHAMPION, "1")  # has evidence: adopted
    code, said = run("evaluate", name, "--policy", unserved, "--version", "3")
    assert "repaired: champion was moved by hand from version 2 to version 1" in said
    assert champion_of(client, name) == 1
    assert Ledger(client, name).head().entry.action == "adopt"

    client.set_registered_model_alias(name, CHAMPION, "3")  # has none: a wish, and refused
    code, said = run("show", name)
    assert "left behind: champion was moved by hand from version 1 to version 3" in said
    code, said = run("promote", name, "--policy", unserved)
    assert code == 3
    assert "version 3 is refused; version 1 stays champion" in said
    assert champion_of(client, name) == 1

    client.delete_registered_model_alias(name, CHAMPION)
    run("evaluate", name, "--policy", unserved, "--version", "3")
    assert champion_of(client, name) == 1

    client.delete_model_version(name, "1")
    run("evaluate", name, "--policy", unserved, "--version", "3")
    assert champion_of(client, name) is None
    code, said = run("show", name)
    assert f"{name} has no champion" in said
    code, said = run("rollback", name)
    assert code == 0
    assert champion_of(client, name) == 2


def test_changed_evidence_is_no_evidence(sqlite: Store, run: Run, unserved: str) -> None:
    name = sqlite.publish("first", "better")
    client = sqlite.client()
    run("promote", name, "--policy", unserved, "--version", "1")
    run("promote", name, "--policy", unserved)
    version = versions.resolve(client, name, 1)
    run_of = client.get_run(version.run_id)
    path = Path(run_of.info.artifact_uri) / evidence.path(1, version.tags["assay.evidence"])
    document = json.loads(path.read_text())
    document["verdict"] = "refused"
    path.write_text(json.dumps(document))
    assert champion.proof(client, version) is None
    code, said = run("rollback", name)
    assert code == 1
    assert "was changed after it was stored" in said
    assert champion_of(client, name) == 2


def test_compare_and_whence(sqlite: Store, run: Run, unserved: str) -> None:
    name = sqlite.publish("first", "better")
    client = sqlite.client()
    run("evaluate", name, "--policy", unserved, "--version", "1")
    code, said = run("compare", name, "1", "2")
    assert code == 0
    assert said.splitlines()[-1] == "clients of version 1 go on working with version 2"
    assert "district=north" in said

    version = versions.resolve(client, name, 1)
    for what in (
        f"{name}/1",
        f"{name}:1",
        f"models:/{name}/1",
        version.digest[:10],
        version.run_id,
        version.tags["assay.evidence"],
    ):
        code, said = run("whence", what)
        assert code == 0
        chain = dict(
            line.split(maxsplit=1) for line in said.replace("git commit", "git").splitlines()
        )
        assert chain["git"] == "a" * 40
        assert chain["run"] == version.run_id
        assert chain["version"].startswith(str(version))
        assert chain["model"] == version.digest
        assert chain["evidence"] == version.tags["assay.evidence"]
    code, said = run("whence", f"{name}@candidate")
    assert f"{name} version 2 @candidate" in said


def test_register_is_one_step(sqlite: Store) -> None:
    """The alias comes last, and a version is never without its digest."""
    name = sqlite.publish("first")
    client = sqlite.client()
    version = versions.resolve(client, name, alias="candidate")
    assert isinstance(version, Version)
    assert version.digest == versions.download(client, version, sqlite.root / "copy").digest()


def test_a_model_of_somebody_else_is_left_alone(sqlite: Store) -> None:
    client = sqlite.client()
    client.create_registered_model("theirs")
    with pytest.raises(RegistryError, match="'theirs' was not created by Assay"):
        Ledger(client, "theirs")
