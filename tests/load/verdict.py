"""Whether a run met its objective, and how much one replica carries: pure functions."""

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from tests.load.load_profile import Objective, Profile, Steps
from tests.load.records import Summary

# An arrival that found no free user was not asked at all; a few at the end of a stage are chance.
UNSENT_SHARE = 0.01
# Beyond this the one Python process of Locust queues by itself, and its latencies are its own.
GENERATOR_BUSY = 0.9
GENERATOR_LATE_MS = 20.0
# What a replica should be loaded with, so that it carries a neighbour's share while that restarts.
UTILISATION = 0.7


class Usage(BaseModel):
    """What server and load generator used during one stage."""

    model_config = ConfigDict(frozen=True)

    memory_mb: float | None = None
    """Of the server, at most."""
    server_cpus: float | None = None
    throttled: float | None = None
    """The share of scheduling periods in which the server's CPU limit stopped it."""
    generator_cpus: float | None = None


class Stage(BaseModel):
    """A stage in numbers, and why it misses the objective."""

    model_config = ConfigDict(frozen=True)

    summary: Summary
    usage: Usage
    missed: tuple[str, ...]
    generator: str | None
    """Why these numbers are Locust's own rather than the server's."""


class Capacity(BaseModel):
    """The highest rate of a stepped profile that meets the objective, as do all below it."""

    model_config = ConfigDict(frozen=True)

    requests_per_second: float
    stage: int | None
    """Which stage showed it; None when not even the first one met the objective."""
    at_least: str | None
    """Why the replica may carry more than was shown."""


class Verdict(BaseModel):
    """What came out."""

    model_config = ConfigDict(frozen=True)

    met: bool
    reasons: tuple[str, ...]
    stages: tuple[Stage, ...]
    capacity: Capacity | None
    peak_memory_mb: float | None


def missed(summary: Summary, objective: Objective) -> tuple[str, ...]:
    """Why a stage misses the objective."""
    against = []
    failed = _share(summary.failed, summary)
    if failed > (0 if summary.overload else objective.error_share):
        against.append(f"{summary.failed} of {summary.requests} requests failed")
    if summary.overload:
        return tuple(against)
    if not summary.answered:
        return (*against, "nothing was answered")
    overloaded = _share(summary.overloaded, summary)
    if overloaded > objective.overloaded_share:
        against.append(f"{summary.overloaded} of {summary.requests} requests got 503")
    if _share(summary.unsent, summary) > UNSENT_SHARE:
        against.append(f"{summary.unsent} of {summary.requests} arrivals found every user waiting")
    for name, value, most in (
        ("p50", summary.p50_ms, objective.p50_ms),
        ("p95", summary.p95_ms, objective.p95_ms),
        ("p99", summary.p99_ms, objective.p99_ms),
    ):
        if value is None:
            against.append(f"{name} is unknown: nothing was answered after the start of the stage")
        elif value > most:
            against.append(f"{name} is {value:.3g} ms, {most:g} ms is allowed")
    return tuple(against)


def generator_limit(summary: Summary, usage: Usage) -> str | None:
    """Why Locust rather than the server made the numbers of a stage, if it did."""
    if usage.generator_cpus is not None and usage.generator_cpus > GENERATOR_BUSY:
        return f"Locust used {usage.generator_cpus:.0%} of its core"
    if summary.late_ms > GENERATOR_LATE_MS:
        return f"Locust sent requests up to {summary.late_ms:.0f} ms late"
    return None


def judge(
    profile: Profile, summaries: Sequence[Summary], usages: Sequence[Usage], peak_mb: float | None
) -> Verdict:
    """Judge a whole run."""
    objective = profile.objective
    stages = tuple(
        Stage(
            summary=summary,
            usage=usage,
            missed=missed(summary, objective),
            generator=generator_limit(summary, usage),
        )
        for summary, usage in zip(summaries, usages, strict=True)
    )
    capacity = find_capacity(stages) if isinstance(profile.shape, Steps) else None
    if capacity is None:
        reasons = _of_stages(stages, objective)
    else:
        reasons = _of_steps(stages, capacity, objective)
    reasons += _of_run(profile, stages, peak_mb)
    return Verdict(
        met=not reasons,
        reasons=tuple(reasons),
        stages=stages,
        capacity=capacity,
        peak_memory_mb=peak_mb,
    )


def find_capacity(stages: Sequence[Stage]) -> Capacity:
    """The last level that meets the objective, at its second attempt at the latest, as do all
    below it."""
    shown: int | None = None
    for number, stage in enumerate(stages):
        if not stage.missed:
            shown = number
        elif _attempts(stages[: number + 1], stage.summary.level) > 1:
            break
    at_least = None
    if not stages[-1].missed:
        at_least = "the profile ended before the replica did"
    elif all(stage.generator for stage in stages[-2:]):
        at_least = f"at the next step {stages[-1].generator}"
    best = 0.0 if shown is None else stages[shown].summary.rate
    return Capacity(requests_per_second=best, stage=shown, at_least=at_least)


def replicas(traffic: float, capacity: float) -> int | None:
    """How many replicas carry so many requests a second; None when one carries nothing."""
    return max(1, math.ceil(traffic / (capacity * UTILISATION))) if capacity else None


def _attempts(stages: Sequence[Stage], level: float) -> int:
    return sum(1 for stage in stages if stage.summary.level == level)


def _share(part: int, summary: Summary) -> float:
    return part / summary.requests if summary.requests else 0.0


def _of_stages(stages: Sequence[Stage], objective: Objective) -> list[str]:
    reasons = []
    for number, stage in enumerate(stages, 1):
        note = f" ({stage.generator})" if stage.generator and stage.missed else ""
        reasons += [f"stage {number}: {reason}{note}" for reason in stage.missed]
        least = objective.least_rate
        if least is not None and not stage.summary.overload and stage.summary.rate < least:
            reasons.append(
                f"stage {number}: {stage.summary.rate:.4g} requests a second, {least:g} are asked"
            )
    return reasons


def _of_steps(stages: Sequence[Stage], capacity: Capacity, objective: Objective) -> list[str]:
    """Being slow beyond its capacity is no fault of a replica; failing is."""
    if capacity.stage is None:
        return [f"the first step: {reason}" for reason in stages[0].missed]
    reasons = []
    failed = sum(stage.summary.failed for stage in stages if stage.missed)
    if failed:
        reasons.append(f"{failed} requests failed; a server with too much to do answers 503")
    least = objective.least_rate
    if least is not None and capacity.requests_per_second < least:
        reasons.append(
            f"carries {capacity.requests_per_second:.4g} requests a second, {least:g} are asked"
        )
    return reasons


def _of_run(profile: Profile, stages: Sequence[Stage], peak_mb: float | None) -> list[str]:
    """What only the whole run shows; memory that was not seen is not judged."""
    reasons = []
    objective = profile.objective
    if objective.memory_mb is not None and peak_mb is not None and peak_mb > objective.memory_mb:
        reasons.append(f"peak memory is {peak_mb:.0f} MB, {objective.memory_mb:g} MB is allowed")
    growth = _growth_mb(stages)
    most = objective.memory_growth_mb
    if most is not None and growth is not None and growth > most:
        reasons.append(f"memory grew by {growth:.1f} MB, {most:g} MB is allowed")
    if len(stages) < len(profile.stages) and not isinstance(profile.shape, Steps):
        reasons.append(f"only {len(stages)} of {len(profile.stages)} stages were done")
    return reasons


def _growth_mb(stages: Sequence[Stage]) -> float | None:
    """From the second stage, when all is loaded that will be, to the last."""
    if len(stages) < 3:
        return None
    first, last = stages[1].usage.memory_mb, stages[-1].usage.memory_mb
    return None if first is None or last is None else last - first
