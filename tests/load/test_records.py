"""Records: every request counts once, in the stage in which it was due."""

from pathlib import Path

import pytest

from serving.judge import Kind
from tests.load.records import Records, Span, summarise


def span(**changes: float) -> Span:
    """Ten seconds, of which the last eight count for latency."""
    known = {"level": 1.0, "start": 100.0, "settled": 102.0, "end": 110.0, "late_ms": 0.0}
    return Span.model_validate({**known, "overload": False, "unsent": 0, **changes})


def records(*requests: tuple[float, float, Kind]) -> Records:
    found = Records()
    for due, latency, kind in requests:
        found.add(due, latency, kind, "why" if kind is Kind.FAILED else None)
    return found


def test_a_request_belongs_to_the_stage_in_which_it_was_due() -> None:
    found = records(
        (99.9, 1, Kind.ANSWERED),  # of the stage before, though it ended in this one
        (100.0, 1, Kind.ANSWERED),
        (109.9, 5, Kind.ANSWERED),  # ended after the stage
        (110.0, 1, Kind.ANSWERED),
    )
    assert summarise(found, span()).answered == 2


def test_settling_counts_for_failures_but_not_for_latency_and_rate() -> None:
    found = records(
        (101, 9.0, Kind.ANSWERED),
        (101, 9.0, Kind.FAILED),
        *((103 + number / 100, 0.004, Kind.ANSWERED) for number in range(80)),
    )
    seen = summarise(found, span())
    assert (seen.requests, seen.failed, seen.answered) == (82, 1, 81)
    assert (seen.rate, seen.p99_ms) == (10.0, pytest.approx(4.0))


def test_latency_is_that_of_answers_alone() -> None:
    found = records(
        (103, 0.010, Kind.ANSWERED),
        (103, 0.000, Kind.REFUSED),
        (103, 0.000, Kind.OVERLOADED),
        (103, 9.000, Kind.FAILED),
    )
    seen = summarise(found, span(unsent=3))
    assert (seen.p50_ms, seen.p99_ms) == (pytest.approx(10), pytest.approx(10))
    assert (seen.requests, seen.unsent) == (7, 3)
    assert seen.rate == 2 / 8  # what was dealt with as it should: the answer and the refusal


def test_nothing_answered_has_no_latency() -> None:
    seen = summarise(Records(), span())
    assert (seen.requests, seen.rate, seen.p50_ms, seen.p99_ms) == (0, 0, None, None)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    found = records((103, 0.5, Kind.ANSWERED), (104, 0.1, Kind.FAILED), (105, 2, Kind.OVERLOADED))
    found.save(tmp_path, [span(), span(unsent=2)])
    again, spans = Records.load(tmp_path)
    assert again == found
    assert spans == (span(), span(unsent=2))
