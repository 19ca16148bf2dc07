"""The history: what is written once stays, and only one of many is first."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest
from conftest import Store
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import RegistryError
from registry.ledger import Action, Entry, Ledger, create_model, former, rolled_back


def entry(action: Action, version: int | None, replaces: int | None = None) -> Entry:
    return Entry(
        action=action,
        version=version,
        replaces=replaces,
        evidence="e" * 64,
        by="me@here",
        at=datetime(2026, 11, 21, tzinfo=UTC),
    )


def model(store: Store, name: str) -> Ledger:
    client = store.client()
    create_model(client, name)
    return Ledger(client, name)


def test_entries_come_back_in_order(store: Store) -> None:
    ledger = model(store, "ordered")
    assert ledger.head() is None
    head = None
    written = [entry("promote", number) for number in range(1, 12)]
    for each in written:
        head = ledger.claim(head, each)
        assert head is not None
        ledger.finish(head.number, "me")
        ledger.finish(head.number, "somebody else, later")
    assert [each.entry for each in ledger.entries()] == written
    assert all(each.done for each in ledger.entries())


def test_a_place_is_taken_once(store: Store) -> None:
    ledger = model(store, "taken")
    first = ledger.claim(None, entry("promote", 1))
    assert ledger.claim(None, entry("promote", 2)) is None
    assert ledger.claim(None, entry("promote", 1)) is None  # equal but for its token: not ours
    assert ledger.head() == first


def test_one_of_ten_at_once_is_first(store: Store) -> None:
    ledger = model(store, "raced")
    for _ in range(5):
        claim = partial(ledger.claim, ledger.head())
        with ThreadPoolExecutor(10) as pool:
            claims = list(pool.map(claim, [entry("promote", number) for number in range(10)]))
        winners = [claim for claim in claims if claim]
        assert len(winners) == 1
        assert ledger.head() == winners[0]
    assert [each.number for each in ledger.entries()] == [1, 2, 3, 4, 5]


def test_first_registrations_at_once_share_one_history(sqlite: Store) -> None:
    """Processes, because MLflow keeps one connection pool a process."""
    code = (
        "from registry import store\n"
        "from registry.ledger import Ledger, create_model\n"
        "client = store.connect()\n"
        "input()\n"
        "create_model(client, 'crowd')\n"
        "print(Ledger(client, 'crowd').run_id)\n"
    )
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "MLFLOW_TRACKING_URI": sqlite.uri},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for each in crowd:
        each.stdin.write("go\n")
        each.stdin.flush()
    said = {each.communicate(timeout=120)[0].strip() for each in crowd}
    assert said == {Ledger(sqlite.client(), "crowd").run_id}


def test_a_deleted_history_is_told(sqlite: Store) -> None:
    ledger = model(sqlite, "deleted")
    ledger.client.delete_run(ledger.run_id)
    with pytest.raises(RegistryError, match=rf"mlflow runs restore --run-id {ledger.run_id}"):
        ledger.head()


FORMER = {
    "nothing yet": ([], ()),
    "the first": ([("promote", 1)], ()),
    "two": ([("promote", 1), ("promote", 2)], (1,)),
    "three": ([("promote", 1), ("promote", 2), ("promote", 3)], (2, 1)),
    "rolled back": ([("promote", 1), ("promote", 2), ("rollback", 1)], ()),
    "rolled back one of three": (
        [("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2)],
        (1,),
    ),
    "rolled back twice": (
        [("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2), ("rollback", 1)],
        (),
    ),
    "rolled back and on": (
        [("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)],
        (1,),
    ),
    "put back by the way": ([("promote", 1), ("promote", 2), ("restore", 2)], (1,)),
    "moved by hand and back": ([("promote", 1), ("promote", 2), ("adopt", 1), ("adopt", 2)], (1,)),
    "none now": ([("promote", 1), ("promote", 2), ("restore", None)], (2, 1)),
}


@pytest.mark.parametrize(("steps", "expected"), FORMER.values(), ids=FORMER.keys())
def test_where_a_rollback_goes(
    steps: list[tuple[Action, int | None]], expected: tuple[int, ...]
) -> None:
    assert former([entry(*step) for step in steps]) == expected


promotions = st.lists(st.integers(1, 6), min_size=2, max_size=8, unique=True)


@given(promotions)
def test_rollbacks_go_all_the_way_back(numbers: list[int]) -> None:
    """Each goes one champion further back, and the last one has nowhere to go."""
    entries = [entry("promote", number) for number in numbers]
    seen = []
    while to := former(entries)[:1]:
        seen.append(to[0])
        entries.append(entry("rollback", to[0], entries[-1].version))
    assert seen == numbers[-2::-1]


def test_rolled_back_until_it_is_champion_again() -> None:
    steps = [entry("promote", 1), entry("promote", 2, 1), entry("rollback", 1, 2)]
    assert rolled_back(steps, 2) == steps[-1]
    assert rolled_back(steps, 1) is None
    assert rolled_back([*steps, entry("promote", 3, 1)], 2) == steps[-1]
    assert rolled_back([*steps, entry("promote", 2, 1)], 2) is None
