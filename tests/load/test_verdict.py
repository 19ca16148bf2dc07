"""Verdicts: what misses an objective, what a replica carries, what is Locust's own fault."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.load.load_profile import Objective, Profile, read
from tests.load.records import Summary
from tests.load.verdict import (
    Stage,
    Usage,
    Verdict,
    find_capacity,
    generator_limit,
    judge,
    missed,
    replicas,
)

OBJECTIVE = Objective(p50_ms=10, p95_ms=50, p99_ms=100)
STEPS = read("capacity")
CONSTANT = read("constant")
SPIKE = read("spike")
SOAK = read("soak")


def summary(level: float = 200, **changes: Any) -> Summary:
    """A stage that meets every objective, with changes."""
    requests = int(level * 10)
    good = {
        "level": level,
        "overload": False,
        "seconds": 8.0,
        "requests": requests,
        "answered": requests,
        "refused": 0,
        "overloaded": 0,
        "failed": 0,
        "unsent": 0,
        "rate": level,
        "p50_ms": 1.0,
        "p95_ms": 5.0,
        "p99_ms": 10.0,
        "late_ms": 0.5,
    }
    return Summary.model_validate({**good, **changes})


def judged(
    profile: Profile, *summaries: Summary, usage: Usage | None = None, peak: float | None = 200
) -> Verdict:
    return judge(profile, summaries, [usage or Usage(memory_mb=200)] * len(summaries), peak)


SLOW = {"p50_ms": 500.0, "p95_ms": 900.0, "p99_ms": 999.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({}, (), id="good"),
        pytest.param({"p50_ms": 10.0}, (), id="just good"),
        pytest.param({"p50_ms": 10.1}, ("p50 is 10.1 ms, 10 ms is allowed",), id="p50"),
        pytest.param({"p95_ms": 51.0}, ("p95 is 51 ms, 50 ms is allowed",), id="p95"),
        pytest.param({"p99_ms": 400.0}, ("p99 is 400 ms, 100 ms is allowed",), id="p99"),
        pytest.param({"failed": 1}, ("1 of 2000 requests failed",), id="a failure"),
        pytest.param({"overloaded": 1}, ("1 of 2000 requests got 503",), id="a 503"),
        pytest.param({"unsent": 20}, (), id="a few arrivals at the end"),
        pytest.param(
            {"unsent": 21}, ("21 of 2000 arrivals found every user waiting",), id="a backlog"
        ),
        pytest.param({"answered": 0}, ("nothing was answered",), id="silence"),
        pytest.param({"answered": 0, "requests": 0}, ("nothing was answered",), id="no requests"),
        pytest.param({"overload": True, "overloaded": 900, **SLOW}, (), id="a peak may be slow"),
        pytest.param(
            {"overload": True, "failed": 2}, ("2 of 2000 requests failed",), id="but not fail"
        ),
    ],
)
def test_what_misses_the_objective(changes: dict[str, Any], said: tuple[str, ...]) -> None:
    assert missed(summary(**changes), OBJECTIVE) == said


def test_a_latency_that_nobody_knows_is_missed() -> None:
    assert "p99 is unknown" in " ".join(missed(summary(p99_ms=None), OBJECTIVE))


@given(
    better=st.floats(0.1, 1000),
    more=st.floats(0, 1000),
    failed=st.integers(0, 50),
    name=st.sampled_from(["p50_ms", "p95_ms", "p99_ms"]),
)
def test_a_worse_stage_never_meets_what_a_better_one_misses(
    better: float, more: float, failed: int, name: str
) -> None:
    good = missed(summary(**{name: better}), OBJECTIVE)
    worse = missed(summary(**{name: better + more, "failed": failed}), OBJECTIVE)
    assert len(worse) >= len(good)


@pytest.mark.parametrize(
    ("profile", "summaries", "options", "reasons"),
    [
        pytest.param(CONSTANT, [summary()], {}, [], id="met"),
        pytest.param(
            CONSTANT, [summary(rate=100)], {}, ["100 requests a second, 190 are asked"], id="rate"
        ),
        pytest.param(CONSTANT, [summary(**SLOW)], {}, ["p50 is 500", "p95", "p99"], id="slow"),
        pytest.param(CONSTANT, [summary()], {"peak": 1600}, ["peak memory is 1600 MB"], id="fat"),
        pytest.param(CONSTANT, [summary()], {"peak": None}, [], id="memory unseen"),
        pytest.param(CONSTANT, [], {}, ["only 0 of 1 stages"], id="ended before it began"),
        pytest.param(
            SPIKE,
            [summary(), summary(4000, overload=True, overloaded=9000, **SLOW), summary()],
            {},
            [],
            id="a spike, and as if nothing had been",
        ),
        pytest.param(
            SPIKE,
            [summary(), summary(4000, overload=True), summary(**SLOW)],
            {},
            ["stage 3: p50", "stage 3: p95", "stage 3: p99"],
            id="a spike that is not got over",
        ),
        pytest.param(SOAK, [summary()] * 15, {}, [], id="a flat soak"),
        pytest.param(SOAK, [summary()] * 14, {}, ["only 14 of 15 stages"], id="a soak cut short"),
    ],
)
def test_verdicts(
    profile: Profile, summaries: list[Summary], options: dict[str, Any], reasons: list[str]
) -> None:
    verdict = judged(profile, *summaries, **options)
    assert verdict.met is (reasons == [])
    assert len(verdict.reasons) == len(reasons)
    for found, said in zip(verdict.reasons, reasons, strict=True):
        assert said in found


def test_memory_that_grows_fails_a_soak() -> None:
    usages = [Usage(memory_mb=180 + 2 * minute) for minute in range(15)]
    verdict = judge(SOAK, [summary()] * 15, usages, 210)
    assert verdict.reasons == ("memory grew by 26.0 MB, 10 MB is allowed",)


@pytest.mark.parametrize(
    ("summaries", "rate", "stage"),
    [
        pytest.param([summary(50), summary(63)], 63, 1, id="all met"),
        pytest.param(
            [summary(50), summary(63), summary(78, **SLOW), summary(78, **SLOW)], 63, 1, id="knee"
        ),
        pytest.param([summary(50), summary(63, **SLOW), summary(63)], 63, 2, id="second chance"),
        pytest.param([summary(50, **SLOW), summary(50, **SLOW)], 0, None, id="nothing"),
        pytest.param(
            [summary(50), summary(63, failed=1), summary(63, failed=1)], 50, 0, id="failures"
        ),
    ],
)
def test_capacity(summaries: list[Summary], rate: float, stage: int | None) -> None:
    capacity = judged(STEPS, *summaries).capacity
    assert capacity is not None
    assert (capacity.requests_per_second, capacity.stage) == (rate, stage)


def test_a_replica_may_be_slow_beyond_its_capacity_but_must_not_fail() -> None:
    good, beyond = summary(63), summary(78, overloaded=300, **SLOW)
    assert judged(STEPS, good, beyond, beyond).met
    failing = judged(STEPS, good, summary(78, failed=4, **SLOW), beyond)
    assert failing.reasons == ("4 requests failed; a server with too much to do answers 503",)


def test_a_replica_that_carries_less_than_asked_misses() -> None:
    carried = summary(50, rate=49.0)
    verdict = judged(STEPS, carried, summary(63, **SLOW), summary(63, **SLOW))
    assert verdict.reasons == ("carries 49 requests a second, 50 are asked",)


@pytest.mark.parametrize(
    ("late_ms", "generator_cpus", "said"),
    [
        pytest.param(1, 0.5, None, id="at ease"),
        pytest.param(1, None, None, id="unseen"),
        pytest.param(1, 0.95, "Locust used 95% of its core", id="busy"),
        pytest.param(50, 0.5, "Locust sent requests up to 50 ms late", id="late"),
    ],
)
def test_when_locust_is_the_limit(
    late_ms: float, generator_cpus: float | None, said: str | None
) -> None:
    usage = Usage(generator_cpus=generator_cpus)
    assert generator_limit(summary(late_ms=late_ms), usage) == said


@pytest.mark.parametrize(
    ("generators", "missed_last", "said"),
    [
        pytest.param([None, None, None], True, None, id="the replica's limit"),
        pytest.param([None, "busy", "busy"], True, "at the next step busy", id="Locust's limit"),
        pytest.param([None, "busy", None], True, None, id="once Locust's, once the replica's"),
        pytest.param([None, None, None], False, "the profile ended", id="no limit met"),
    ],
)
def test_a_capacity_is_at_least_what_was_shown(
    generators: list[str | None], missed_last: bool, said: str | None
) -> None:
    reasons = ("slow",) if missed_last else ()
    levels = [50, 63, 63] if missed_last else [50, 63, 78]
    stages = [
        Stage(
            summary=summary(level),
            usage=Usage(),
            missed=reasons if number else (),
            generator=generator,
        )
        for number, (level, generator) in enumerate(zip(levels, generators, strict=True))
    ]
    at_least = find_capacity(stages).at_least
    assert at_least is None if said is None else said in (at_least or "")


@pytest.mark.parametrize(
    ("traffic", "capacity", "count"),
    [(1, 1000, 1), (700, 1000, 1), (701, 1000, 2), (10_000, 1000, 15), (5, 0, None)],
)
def test_replicas_leave_room_for_a_neighbour(
    traffic: float, capacity: float, count: int | None
) -> None:
    assert replicas(traffic, capacity) == count
