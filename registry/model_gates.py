"""Gates over what the model answers: pure functions from measurements to a finding.

A gate looks at the end of an interval that speaks against the version, except for groups: there
are many of them, so only a sure fall counts.
"""

from collections.abc import Iterator

from registry.figures import interval, number
from registry.finding import Finding
from registry.measurements import Measurements, Quality
from registry.metrics import METRICS
from registry.policy import (
    CalibrationPolicy,
    ErrorsPolicy,
    PlausibilityPolicy,
    QualityPolicy,
    SlicesPolicy,
)


def quality(measured: Measurements, policy: QualityPolicy) -> Finding:
    """Good enough, better than a constant answer, and not worse than the champion."""
    scores = measured.quality
    if isinstance(scores, str):
        return Finding("not scored", (scores,))
    baseline = number(scores.baseline)
    said = f"{scores.metric} {interval(scores.candidate)}, best constant answer {baseline}"
    against = list(_threshold(scores, policy))
    if scores.over_baseline.low <= 0:
        against.append(f"does not surely beat the best constant answer ({number(scores.baseline)})")
    if scores.incomparable is not None:
        return Finding(said, tuple(against), (scores.incomparable,))
    if scores.champion is None or scores.over_champion is None:
        return Finding(f"{said}, no champion to beat", tuple(against))
    gain, margin = scores.over_champion, policy.margin * _scale(scores.champion_over_baseline)
    champions = number(scores.champion.value)
    if gain.low > 0:
        verdict = "better"
    elif gain.low >= -margin:
        verdict = "not worse"
    else:
        verdict = "worse"
        against.append(
            f"{scores.metric} {number(scores.candidate.value)} against the champion's {champions}: "
            f"may be {-gain.low:.2g} worse, {margin:.2g} is allowed"
        )
    return Finding(
        f"{said}; {verdict}, gain over the champion's {champions} {interval(gain)}",
        tuple(against),
    )


def _threshold(scores: Quality, policy: QualityPolicy) -> Iterator[str]:
    if scores.metric not in policy.thresholds:
        return
    least, found = policy.thresholds[scores.metric], scores.candidate.value
    if METRICS[scores.metric].gain(found, least) < 0:
        yield f"{scores.metric} {number(found)} misses the threshold {number(least)}"


def plausibility(measured: Measurements, policy: PlausibilityPolicy) -> Finding:
    """No column alone tells the target."""
    columns = measured.columns
    strongest = max(columns, key=lambda column: column.strength)
    told = [column for column in columns if column.strength >= policy.single_column]
    return Finding(
        f"strongest column {strongest.name!r} tells {strongest.strength:.1%} of the target alone",
        tuple(
            f"column {column.name!r} tells {column.strength:.1%} of the target alone: "
            "it is a copy of it or known only after it; drop it and train again"
            for column in told
        ),
    )


def slices(measured: Measurements, policy: SlicesPolicy) -> Finding:
    """No named group surely falls by more than the margin."""
    if isinstance(measured.slices, str):
        return Finding("not compared", (measured.slices,))
    groups = measured.slices.groups
    if not groups:
        return Finding("no groups to compare with a champion")
    margin = policy.margin * _scale(measured.slices.champion_over_baseline)
    large = [group for group in groups if group.rows >= policy.least_rows]
    fallen = [
        f"{group.column} {group.value!r} ({group.rows} rows) fell from {number(group.champion)} "
        f"to {number(group.candidate)}"
        for group in sorted(large, key=lambda group: group.gain.value)
        if group.gain.high < 0 and group.gain.value < -margin
    ]
    worst = min(large, key=lambda group: group.gain.value, default=None)
    said = f"{len(large)} of {len(groups)} groups are large enough"
    if worst is not None:
        said += f"; the least gain is {worst.gain.value:+.2g} for {worst.column} {worst.value!r}"
    return Finding(said, tuple(fallen))


def calibration(measured: Measurements, policy: CalibrationPolicy) -> Finding:
    """Probabilities are frequencies."""
    found = measured.calibration
    if found is None:
        return Finding("no probabilities in regression")
    if isinstance(found, str):
        return Finding("not measured", (found,))
    said = f"error {found.error:.3f}, of which {found.chance:.3f} is chance on so many rows"
    if found.error - found.chance > policy.largest_error:
        return Finding(
            said,
            (
                f"probabilities are {found.error - found.chance:.3f} from the frequencies on "
                f"average, {policy.largest_error:g} is allowed",
            ),
        )
    return Finding(said)


def errors(measured: Measurements, policy: ErrorsPolicy) -> Finding:
    """Large errors have not become larger."""
    found = measured.errors
    if found is None:
        return Finding("classes have no error sizes")
    if isinstance(found, str):
        return Finding("not measured", (found,))
    said = ", ".join(f"{each.quantile:.0%} below {number(each.candidate)}" for each in found)
    return Finding(
        said,
        tuple(
            f"{each.quantile:.0%} of the errors are below {number(each.candidate)}, "
            f"the champion's below {number(each.champion)}; {policy.margin:.0%} more is allowed"
            for each in found
            if each.champion is not None and each.candidate > each.champion * (1 + policy.margin)
        ),
    )


def _scale(champion_over_baseline: float | None) -> float:
    return max(champion_over_baseline or 0.0, 0.0)
