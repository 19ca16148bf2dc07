"""What each gate lets through and what it says when it does not."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import policy
from registry.artifact import Interval, Parity, ParityCheck
from registry.gates import GATES, GateResult, judge, passed
from registry.measurements import (
    Calibration,
    Capacity,
    Column,
    Data,
    Encoding,
    ErrorQuantile,
    Measurements,
    Memory,
    Percentiles,
    Provenance,
    Quality,
    Served,
    Slice,
    Slices,
    Supply,
)

POLICY = policy.read()


def interval(value: float, half: float = 0.0) -> Interval:
    return Interval(value=value, low=value - half, high=value + half)


def group(value: float, half: float, rows: int = 100) -> Slice:
    return Slice(
        column="sex", value="f", rows=rows, candidate=0.9, champion=0.9, gain=interval(value, half)
    )


QUALITY = Quality(
    metric="roc_auc",
    goal="higher",
    candidate=interval(0.92, 0.01),
    baseline=0.5,
    over_baseline=interval(0.42, 0.01),
    champion=interval(0.91, 0.01),
    over_champion=interval(0.01, 0.005),
    champion_over_baseline=0.4,
)
SERVED = Served(
    engine="onnx",
    encodings={
        way: Encoding(rows=1000, label_flips=0, largest_difference=4e-7)
        for way in POLICY.parity.encodings
    },
    tolerance=1e-6,
    start_seconds=2,
    latency_ms=Percentiles(p50=1, p95=2, p99=3),
    memory_mb=Memory(peak=200),
    requests=310,
    errors=0,
)
CAPACITY = Capacity(
    source="probe", latency_ms=SERVED.latency_ms, memory_mb=200, requests=310, errors=0
)
COMPILED = Parity(
    engine="onnx",
    reason="exact",
    tolerance=1e-6,
    checks=(ParityCheck(name="thresholds", rows=10_000, label_flips=0, largest_difference=4e-7),),
)
SUPPLY = Supply(
    digest="d" * 64,
    registered_digest="d" * 64,
    format="skops",
    size_mb=1.5,
    types=("numpy.dtype", "experiments.features.Numbers"),
    code=("code/experiments/__init__.py", "code/experiments/features.py"),
    executables=(),
    requirements=5,
    unpinned=(),
)
GOOD = Measurements(
    task="binary",
    data=Data(digest="e" * 64, rows=1000, target="income", champion_digest=None),
    quality=QUALITY,
    slices=Slices(groups=(group(0.0, 0.01),), champion_over_baseline=0.4),
    columns=(Column(name="capital_gain", strength=0.2), Column(name="age", strength=0.1)),
    calibration=Calibration(error=0.02, chance=0.01),
    errors=None,
    breaking=(),
    compiled=COMPILED,
    served=SERVED,
    capacity=CAPACITY,
    supply=SUPPLY,
    provenance=Provenance(git_commit="c" * 40, git_dirty=False),
)


def quality(**changes: Any) -> dict[str, Any]:
    return {"quality": QUALITY.model_copy(update=changes)}


def served(**changes: Any) -> dict[str, Any]:
    return {"served": SERVED.model_copy(update=changes)}


def encoded(**changes: Any) -> dict[str, Any]:
    one = SERVED.encodings["V2 gRPC"].model_copy(update=changes)
    return served(encodings={**SERVED.encodings, "V2 gRPC": one})


def compiled(**changes: Any) -> dict[str, Any]:
    check = COMPILED.checks[0].model_copy(update=changes)
    return {"compiled": COMPILED.model_copy(update={"checks": (check,)})}


def capacity(**changes: Any) -> dict[str, Any]:
    return {"capacity": CAPACITY.model_copy(update=changes)}


def supply(**changes: Any) -> dict[str, Any]:
    return {"supply": SUPPLY.model_copy(update=changes)}


def quantiles(candidate: float, champion: float | None) -> dict[str, Any]:
    found = ErrorQuantile(quantile=0.9, candidate=candidate, champion=champion)
    return {"errors": (found,), "calibration": None, "task": "regression"}


LET_THROUGH = {
    "good": {},
    "no champion": {
        **quality(champion=None, over_champion=None, champion_over_baseline=None),
        "slices": Slices(groups=(), champion_over_baseline=None),
    },
    "as good as the champion": quality(over_champion=interval(0)),
    "surely within the margin": quality(over_champion=interval(-0.004, 0.004)),
    "a metric without a threshold": quality(metric="log_loss", goal="lower"),
    "a lower score at the threshold": quality(
        metric="rmsle", goal="lower", candidate=interval(0.25)
    ),
    "a small group fell": {
        "slices": Slices(groups=(group(-0.3, 0.1, rows=29),), champion_over_baseline=0.4)
    },
    "a group may have fallen": {
        "slices": Slices(groups=(group(-0.03, 0.04),), champion_over_baseline=0.4)
    },
    "a group surely fell, a little": {
        "slices": Slices(groups=(group(-0.01, 0.005),), champion_over_baseline=0.4)
    },
    "few rows look uncalibrated": {"calibration": Calibration(error=0.09, chance=0.07)},
    "errors grew a little": quantiles(11.4, 10),
    "errors without a champion": quantiles(1e9, None),
    "a pyfunc engine, exact": served(
        engine="pyfunc",
        tolerance=1e-9,
        encodings={
            way: Encoding(rows=1000, label_flips=0, largest_difference=0)
            for way in POLICY.parity.encodings
        },
    ),
    "a load test": capacity(source="load test", requests_per_second=900),
}
STOPPED = {
    "not scored": ("quality", {"quality": "not loaded"}, "not loaded"),
    "below the threshold": (
        "quality",
        quality(candidate=interval(0.69)),
        "roc_auc 0.69 misses the threshold 0.7",
    ),
    "above a lower threshold": (
        "quality",
        quality(metric="rmsle", goal="lower", candidate=interval(0.3)),
        "rmsle 0.3 misses the threshold 0.25",
    ),
    "perhaps no better than a constant": (
        "quality",
        quality(over_baseline=interval(0.01, 0.02)),
        "does not surely beat the best constant answer (0.5)",
    ),
    "worse than the champion": (
        "quality",
        quality(over_champion=interval(-0.02, 0.005)),
        "roc_auc 0.92 against the champion's 0.91: may be 0.025 worse, 0.008 is allowed",
    ),
    "perhaps worse than the champion": (
        "quality",
        quality(over_champion=interval(0.0, 0.009)),
        "may be 0.009 worse, 0.008 is allowed",
    ),
    "a champion that leads by nothing gives no margin": (
        "quality",
        quality(over_champion=interval(0.0, 0.001), champion_over_baseline=-0.1),
        "may be 0.001 worse, 0 is allowed",
    ),
    "the champion cannot answer": (
        "quality",
        quality(incomparable="the rows lack its column 'x'"),
        "the rows lack its column 'x'",
    ),
    "a copy of the target": (
        "plausibility",
        {"columns": (Column(name="income_copy", strength=1), Column(name="age", strength=0.1))},
        "column 'income_copy' tells 100.0% of the target alone",
    ),
    "a group fell": (
        "slices",
        {"slices": Slices(groups=(group(-0.1, 0.02),), champion_over_baseline=0.4)},
        "sex 'f' (100 rows) fell from 0.9 to 0.9",
    ),
    "uncalibrated": (
        "calibration",
        {"calibration": Calibration(error=0.09, chance=0.01)},
        "probabilities are 0.080 from the frequencies on average, 0.05 is allowed",
    ),
    "errors grew": (
        "errors",
        quantiles(11.6, 10),
        "90% of the errors are below 11.6, the champion's below 10; 15% more is allowed",
    ),
    "clients break": (
        "contract",
        {"breaking": ("column 'x' was dropped",)},
        "column 'x' was dropped",
    ),
    "not served": (
        "parity",
        {"served": "no bundle could be served: x"},
        "no bundle could be served: x",
    ),
    "labels differ": ("parity", encoded(label_flips=2), "2 of 1000 labels differ over V2 gRPC"),
    "numbers differ": (
        "parity",
        encoded(largest_difference=2e-6),
        "answers over V2 gRPC are 2e-06 away from the pipeline's, 1e-06 is allowed",
    ),
    "not a number": (
        "parity",
        encoded(largest_difference=math.nan),
        "answers over V2 gRPC are nan away",
    ),
    "numbers differ more than the engine may": (
        "parity",
        served(engine="pyfunc", tolerance=1e-9),
        "answers over V2 REST are 4e-07 away from the pipeline's, 1e-09 is allowed",
    ),
    "the graph differs on other rows": (
        "parity",
        compiled(label_flips=3),
        "3 of 10000 labels differ by the graph on thresholds",
    ),
    "the graph is off on other rows": (
        "parity",
        compiled(largest_difference=1e-5),
        "answers by the graph on thresholds are 1e-05 away from the pipeline's, 1e-06 is allowed",
    ),
    "an encoding not asked": (
        "parity",
        served(encodings={"V2 REST": SERVED.encodings["V2 REST"]}),
        "nothing was asked over V2 gRPC",
    ),
    "an encoding asked nothing": ("parity", encoded(rows=0), "nothing was asked over V2 gRPC"),
    "requests failed": ("parity", served(errors=1), "1 of 310 requests failed"),
    "capacity unknown": ("capacity", {"capacity": "no bundle"}, "no bundle"),
    "slow": (
        "capacity",
        capacity(latency_ms=Percentiles(p50=60, p95=70, p99=80)),
        "p50 is 60 ms, 50 ms is allowed",
    ),
    "slow at times": (
        "capacity",
        capacity(latency_ms=Percentiles(p50=6, p95=70, p99=800)),
        "p99 is 800 ms, 200 ms is allowed",
    ),
    "large": ("capacity", capacity(memory_mb=1600), "peak memory is 1600 MB, 1500 MB is allowed"),
    "errors under load": ("capacity", capacity(errors=1), "1 of 310 requests failed"),
    "few requests a second": (
        "capacity",
        capacity(source="load test", requests_per_second=20),
        "20 requests a second, 50 are asked",
    ),
    "another artifact": ("supply", supply(digest="f" * 64), "its digest differs"),
    "a pickle": ("supply", supply(format="cloudpickle"), "saved as cloudpickle, which runs code"),
    "a pickle beside it": ("supply", supply(executables=("x.pkl",)), "x.pkl runs code"),
    "an unknown type": (
        "supply",
        supply(types=("os.system",)),
        "type os.system is not on the policy's list of trusted types",
    ),
    "unknown code": (
        "supply",
        supply(code=("code/evil.py",)),
        "code/evil.py is code that the policy",
    ),
    "an unpinned requirement": (
        "supply",
        supply(unpinned=("pandas>=2",)),
        "requirement 'pandas>=2' is not pinned",
    ),
    "no requirements": ("supply", supply(requirements=0), "does not say which packages"),
    "too large": ("supply", supply(size_mb=300), "300 MB, 200 MB is allowed"),
    "dirty git": (
        "provenance",
        {"provenance": Provenance(git_commit="c" * 40, git_dirty=True)},
        "changes that are not committed",
    ),
    "no git": (
        "provenance",
        {"provenance": Provenance(git_commit=None, git_dirty=False)},
        "trained outside of git",
    ),
}


def said(changes: dict[str, Any], **options: Any) -> dict[str, GateResult]:
    results = judge(GOOD.model_copy(update=changes), POLICY, **options)
    return {result.gate: result for result in results}


@pytest.mark.parametrize("changes", LET_THROUGH.values(), ids=LET_THROUGH.keys())
def test_let_through(changes: dict[str, Any]) -> None:
    results = said(changes)
    assert {name: r.reasons for name, r in results.items() if r.outcome != "passed"} == {}


@pytest.mark.parametrize(("gate", "changes", "reason"), STOPPED.values(), ids=STOPPED.keys())
def test_stopped(gate: str, changes: dict[str, Any], reason: str) -> None:
    """By this gate alone, with its reason; all others still spoke."""
    results = said(changes)
    assert list(results) == list(GATES)
    assert [name for name, result in results.items() if result.outcome == "failed"] == [gate]
    assert any(reason in each for each in results[gate].reasons), results[gate].reasons
    assert not passed(tuple(results.values()))


@pytest.mark.parametrize("gate", GATES)
def test_each_gate_has_a_case_and_can_be_switched_off(gate: str) -> None:
    changes = next(changes for name, changes, _ in STOPPED.values() if name == gate)
    lenient = POLICY.model_copy(update={gate: None})
    results = judge(GOOD.model_copy(update=changes), lenient)
    assert next(result for result in results if result.gate == gate).outcome == "off"
    assert passed(results)


ALLOWED = {
    "breaking": ("contract", {"breaking": ("column 'x' was dropped",)}, "breaking"),
    "incomparable": ("quality", quality(incomparable="lacks a column"), "breaking"),
    "dirty": ("provenance", {"provenance": Provenance(git_commit=None, git_dirty=False)}, "dirty"),
}


@pytest.mark.parametrize(("gate", "changes", "permission"), ALLOWED.values(), ids=ALLOWED.keys())
def test_allowed_on_request_and_recorded(
    gate: str, changes: dict[str, Any], permission: str
) -> None:
    result = said(changes, allowed=frozenset({permission}))[gate]
    assert result.outcome == "allowed"
    assert result.reasons
    other = {"breaking": "dirty", "dirty": "breaking"}[permission]
    assert said(changes, allowed=frozenset({other}))[gate].outcome == "failed"


def test_permission_excuses_nothing_else() -> None:
    changes = quality(incomparable="lacks a column", candidate=interval(0.1))
    assert said(changes, allowed=frozenset({"breaking"}))["quality"].outcome == "failed"


small = st.floats(0, 0.2)


@given(
    gain=st.floats(-0.1, 0.1),
    half=small,
    less=small,
    wider=small,
    score=st.floats(0.4, 1),
    lead=st.floats(-0.1, 0.5),
)
def test_a_worse_candidate_never_passes_where_a_better_one_fails(
    gain: float, half: float, less: float, wider: float, score: float, lead: float
) -> None:
    def outcome(drop: float, spread: float) -> str:
        changes = quality(
            candidate=interval(score - drop),
            over_baseline=interval(score - drop - 0.5, spread),
            over_champion=interval(gain - drop, spread),
            champion_over_baseline=lead,
        )
        return said(changes)["quality"].outcome

    if outcome(0, half) == "failed":
        assert outcome(less, half) == "failed"  # a worse score
        assert outcome(0, half + wider) == "failed"  # more doubt


worse = st.floats(1, 10)


@given(
    base=st.tuples(*[st.floats(1, 2000)] * 4),
    factors=st.tuples(worse, worse, worse, worse),
    errors=st.integers(0, 3),
    more=st.integers(0, 3),
)
def test_a_slower_or_larger_one_never_passes_where_a_faster_one_fails(
    base: tuple[float, ...], factors: tuple[float, ...], errors: int, more: int
) -> None:
    def outcome(values: list[float], failed: int) -> str:
        p50, p95, p99, memory = values
        changes = capacity(
            latency_ms=Percentiles(p50=p50, p95=p95, p99=p99), memory_mb=memory, errors=failed
        )
        return said(changes)["capacity"].outcome

    if outcome(list(base), errors) == "failed":
        larger = [value * factor for value, factor in zip(base, factors, strict=True)]
        assert outcome(larger, errors + more) == "failed"


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_leak_or_less_calibration_never_helps(
    strength: float, more: float, error: float, further: float
) -> None:
    def failed(strongest: float, off: float) -> set[str]:
        changes = {
            "columns": (Column(name="x", strength=min(1.0, strongest)),),
            "calibration": Calibration(error=off, chance=0.01),
        }
        return {name for name, result in said(changes).items() if result.outcome == "failed"}

    assert failed(strength, error) <= failed(strength + more, error + further)
