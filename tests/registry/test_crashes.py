"""Killed at any point and raced by others, a store has one truth, and the next command says it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Store
from mlflow import MlflowClient

from registry import champion, policy, promotion, versions
from registry.__main__ import main
from registry.evidence import Evidence, subject
from registry.ledger import Ledger
from registry.promotion import Attempt, Request
from registry.versions import CHAMPION

LEAST_POINTS, MOST_POINTS = 10, 30


class Nursery:
    """The process that forks commands; see nursery.py."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def run(self, *orders: dict[str, Any]) -> tuple[list[int], list[str]]:
        """Start all of them, wait for all; exit codes and what they printed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for order in orders:
            self.process.stdin.write(json.dumps({"die_at": None, **order}) + "\n")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        said = []
        while not (line := self.process.stdout.readline()).startswith("["):
            assert line, "the nursery died"
            said.append(line.strip())
        return json.loads(line), said


@pytest.fixture
def nursery(sqlite: Store) -> Iterator[Nursery]:
    """Forks commands on the sqlite store."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "nursery.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(process.wait, timeout=60)
        stack.enter_context(process)
        yield Nursery(process)


def consistent(client: MlflowClient, name: str) -> int:
    """The champion, which history, alias and evidence agree on; every entry follows the last."""
    entries = Ledger(client, name).entries()
    before = None
    for number, each in enumerate(entries, start=1):
        assert (each.number, each.done) == (number, True)
        assert each.entry.replaces == before
        before = each.entry.version
    number = versions.number_under(client, name, CHAMPION)
    assert number == before
    version = versions.resolve(client, name, number)
    document, digest = champion.proof(client, version)
    assert digest == entries[-1].entry.evidence
    assert document.subject == subject(version)
    described = client.get_registered_model(name).description
    assert described.startswith(f"Version {number} is champion since")
    assert version.description.startswith("Passed every gate")
    return number


def test_killed_before_every_change(
    sqlite: Store,
    nursery: Nursery,
    unserved: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = sqlite.publish("first", "better")
    client = sqlite.client()
    promotion.promote(client, Request(name, policy.read(unserved), version=1))
    attempt = Attempt.begin(client, Request(name, policy.read(unserved), version=2))
    passed = attempt.assess(attempt.choose()[0])
    assert passed.verdict == "passed"

    finished = 0
    for point in range(1, MOST_POINTS):
        number = point + 1
        document = _about(client, name, number, passed)
        file = tmp_path / "evidence.json"
        file.write_bytes(document.content())
        order = {"name": name, "version": number, "policy": unserved, "die_at": point}
        (ended,), _ = nursery.run({**order, "evidence": str(file)})
        if ended == 0:
            break  # it makes fewer changes than that
        assert ended == -signal.SIGKILL

        left = champion.look(client, Ledger(client, name)).left
        now = versions.number_under(client, name, CHAMPION)
        assert now in {number - 1, number}
        assert champion.proof(client, versions.resolve(client, name, now)) is not None
        capsys.readouterr()
        assert main(["promote", name, "--version", str(number), "--policy", unserved]) == 0
        said = capsys.readouterr().out
        if left is not None:
            finished += 1
            assert f"repaired: {left}" in said
            assert f"{name} version {number} is champion already" in said
        assert consistent(client, name) == number
        sqlite.publish("better", name=name)
    else:
        pytest.fail("a promotion never came to its end")
    assert point > LEAST_POINTS
    assert 0 < finished < point - 1  # some were killed before the decision, some after it
    assert consistent(client, name) == point + 1


def _about(client: MlflowClient, name: str, number: int, passed: Evidence) -> Evidence:
    """The same findings about the next version, which was made by the same recipe."""
    version = versions.resolve(client, name, number)
    rival = versions.resolve(client, name, number - 1)
    return passed.model_copy(update={"subject": subject(version), "champion": subject(rival)})


def test_killed_while_measuring(sqlite: Store, unserved: str) -> None:
    name = sqlite.publish("first")
    client = sqlite.client()
    before = versions.every(client, name)
    command = subprocess.Popen(
        [sys.executable, "-m", "registry", "promote", name, "--policy", unserved],
        stderr=subprocess.PIPE,
        text=True,
    )
    with command:
        assert command.stderr is not None
        assert any("scoring on" in line for line in command.stderr)
        command.kill()
    assert versions.every(client, name) == before
    assert Ledger(client, name).entries() == ()


def test_ten_at_once_promote_one(
    sqlite: Store, nursery: Nursery, unserved: str, tmp_path: Path
) -> None:
    name = sqlite.publish("first")
    client = sqlite.client()
    attempt = Attempt.begin(client, Request(name, policy.read(unserved)))
    file = tmp_path / "evidence.json"
    file.write_bytes(attempt.assess(attempt.choose()[0]).content())
    ended, said = nursery.run(
        *[{"name": name, "version": 1, "policy": unserved, "evidence": str(file)}] * 10
    )
    assert ended == [0] * 10
    (winner,) = (line for line in said if line == f"{name} version 1 is champion, the first one")
    assert said.count(f"{name} version 1 is champion already") == 9
    assert winner
    assert consistent(client, name) == 1
    assert len(Ledger(client, name).entries()) == 1


def test_several_versions_at_once(store: Store, unserved: str) -> None:
    """Each is measured against whatever is champion when it decides; none is skipped or lost."""
    name = store.publish("first", "better", "better", "worse", "better")
    client = store.client()
    request = Request(name, policy.read(unserved))
    promotion.promote(client, Request(name, request.policy, version=1))

    def promote(number: int) -> promotion.Outcome:
        return promotion.promote(client, Request(name, request.policy, version=number))

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(promote, [2, 3, 4, 5]))
    moved = [outcome for outcome in outcomes if outcome.result == "moved"]
    assert outcomes[2].result == "refused"
    assert {outcome.version.number for outcome in moved} == {2, 3, 5}
    entries = Ledger(client, name).entries()
    for each in entries[1:]:
        outcome = next(o for o in moved if o.version.number == each.entry.version)
        assert outcome.evidence.champion.version == each.entry.replaces
        assert outcome.digest == each.entry.evidence
    assert consistent(client, name) == entries[-1].entry.version
