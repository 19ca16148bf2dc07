"""Gates over what is shipped and served: pure functions from measurements to a finding."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from registry.artifact import ParityCheck
from registry.finding import Finding
from registry.measurements import Encoding, Measurements, Supply
from registry.policy import (
    CapacityPolicy,
    ContractPolicy,
    ParityPolicy,
    ProvenancePolicy,
    SupplyPolicy,
)

TRAIN_AGAIN = "commit, and train again, or promote with --allow-dirty"


def contract(measured: Measurements, policy: ContractPolicy) -> Finding:  # noqa: ARG001 - a gate
    """The champion's clients would not notice."""
    changes = measured.breaking
    if not changes:
        return Finding("clients of the champion go on working")
    return Finding(
        f"{len(changes)} breaking changes, which --allow-breaking would allow", on_request=changes
    )


def parity(measured: Measurements, policy: ParityPolicy) -> Finding:
    """Served answers are the pipeline's over every encoding, and so are the compiled graph's."""
    served, compiled = measured.served, measured.compiled
    if isinstance(served, str):
        return Finding("not served", (served,))
    allowed = policy.regression if measured.task == "regression" else policy.probability
    ways = {f"over {name}": seen for name, seen in served.encodings.items()}
    against = [
        f"nothing was asked over {name}"
        for name in policy.encodings
        if name not in served.encodings or not served.encodings[name].rows
    ]
    against += _apart(ways, min(served.tolerance, allowed))
    said = f"{served.engine} engine, {_span(ways)}"
    if served.engine == "onnx":
        checks = {f"by the graph on {check.name}": check for check in compiled.checks}
        against += _apart(checks, allowed)
        said += f"; compiled graph, {_span(checks)}"
    if served.errors:
        against.append(f"{served.errors} of {served.requests} requests failed")
    return Finding(said, tuple(against))


def _apart(seen: Mapping[str, Encoding | ParityCheck], allowed: float) -> Iterator[str]:
    for where, answers in seen.items():
        if answers.label_flips:
            yield f"{answers.label_flips} of {answers.rows} labels differ {where}"
        if not answers.largest_difference <= allowed:  # so that NaN fails
            yield (
                f"answers {where} are {answers.largest_difference:.2g} away from the pipeline's, "
                f"{allowed:g} is allowed"
            )


def _span(seen: Mapping[str, Encoding | ParityCheck]) -> str:
    rows = sum(answers.rows for answers in seen.values())
    worst = max((answers.largest_difference for answers in seen.values()), default=0.0)
    return f"{rows:,} answers in {len(seen)} ways: at most {worst:.1g} away"


def capacity(measured: Measurements, policy: CapacityPolicy) -> Finding:
    """One replica is fast and small enough."""
    found = measured.capacity
    if isinstance(found, str):
        return Finding("not measured", (found,))
    latency = found.latency_ms
    said = (
        f"{found.source}: p50 {latency.p50:.3g} ms, p99 {latency.p99:.3g} ms, "
        f"{found.memory_mb:.0f} MB"
    )
    limits = (
        ("p50", latency.p50, policy.p50_ms, "ms"),
        ("p95", latency.p95, policy.p95_ms, "ms"),
        ("p99", latency.p99, policy.p99_ms, "ms"),
        ("peak memory", found.memory_mb, policy.memory_mb, "MB"),
    )
    against = [
        f"{name} is {value:.4g} {unit}, {most:g} {unit} is allowed"
        for name, value, most, unit in limits
        if not value <= most
    ]
    if found.errors > policy.error_share * found.requests:
        against.append(f"{found.errors} of {found.requests} requests failed")
    rate = found.requests_per_second
    if rate is not None:
        said += f", {rate:.4g} requests a second"
        if rate < policy.requests_per_second:
            against.append(
                f"{rate:.4g} requests a second, {policy.requests_per_second:g} are asked"
            )
    return Finding(said, tuple(against))


def supply(measured: Measurements, policy: SupplyPolicy) -> Finding:
    """The artifact is the registered one and runs nothing that nobody looked at."""
    found = measured.supply
    against = list(unsafe(found, policy))
    against += [f"requirement {line!r} is not pinned" for line in found.unpinned]
    if not found.requirements:
        against.append("it does not say which packages it needs")
    if found.size_mb > policy.size_mb:
        against.append(f"{found.size_mb:.4g} MB, {policy.size_mb:g} MB is allowed")
    return Finding(
        f"{found.format}, {len(found.types)} listed types, {found.size_mb:.3g} MB, "
        f"{found.requirements - len(found.unpinned)} pinned requirements",
        tuple(against),
    )


def unsafe(found: Supply, policy: SupplyPolicy) -> tuple[str, ...]:
    """Why the model must not even be loaded."""
    against = []
    if found.digest != found.registered_digest:
        against.append("the artifact is not the one that was registered: its digest differs")
    if found.format != "skops":
        against.append(f"the model is saved as {found.format}, which runs code when it is loaded")
    against += [f"{name} runs code when it is loaded" for name in found.executables]
    against += [
        f"type {name} is not on the policy's list of trusted types"
        for name in found.types
        if not any(fnmatchcase(name, allowed) for allowed in policy.trusted_types)
    ]
    against += [
        f"{name} is code that the policy does not list"
        for name in found.code
        if name not in policy.code
    ]
    return tuple(against)


def provenance(measured: Measurements, policy: ProvenancePolicy) -> Finding:  # noqa: ARG001 - a gate
    """The code that trained it is committed."""
    found = measured.provenance
    if found.git_commit is None:
        return Finding(
            "no git commit", on_request=(f"it was trained outside of git; {TRAIN_AGAIN}",)
        )
    if found.git_dirty:
        return Finding(
            f"git commit {found.git_commit[:12]}, changed",
            on_request=(f"it was trained with changes that are not committed; {TRAIN_AGAIN}",),
        )
    return Finding(f"git commit {found.git_commit[:12]}, clean")
