"""Decide: every gate of the policy, in one order, so that a report is whole."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from registry import model_gates, service_gates
from registry.finding import Finding
from registry.measurements import Measurements
from registry.policy import Policy

Outcome = Literal["passed", "failed", "allowed", "off"]
Permission = Literal["breaking", "dirty"]


class GateResult(BaseModel):
    """What one gate said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    outcome: Outcome
    measured: str
    reasons: tuple[str, ...] = ()
    """Why it failed, or what was allowed on request."""


GATES: Mapping[str, Callable[[Measurements, Any], Finding]] = {
    gate.__name__: gate
    for gate in (
        model_gates.quality,
        model_gates.plausibility,
        model_gates.slices,
        model_gates.calibration,
        model_gates.errors,
        service_gates.contract,
        service_gates.parity,
        service_gates.capacity,
        service_gates.supply,
        service_gates.provenance,
    )
}
PERMISSIONS: Mapping[str, Permission] = {
    "quality": "breaking",  # a champion that cannot read these rows cannot be compared
    "contract": "breaking",
    "provenance": "dirty",
}


def judge(
    measured: Measurements, policy: Policy, allowed: frozenset[Permission] = frozenset()
) -> tuple[GateResult, ...]:
    """Ask every gate; one that the policy sets to null is off."""
    return tuple(
        _ask(name, gate, measured, getattr(policy, name), PERMISSIONS.get(name) in allowed)
        for name, gate in GATES.items()
    )


def passed(results: tuple[GateResult, ...]) -> bool:
    """Whether nothing speaks against the version."""
    return all(result.outcome != "failed" for result in results)


def _ask(
    name: str,
    gate: Callable[[Measurements, Any], Finding],
    measured: Measurements,
    section: BaseModel | None,
    permitted: bool,
) -> GateResult:
    if section is None:
        return GateResult(gate=name, outcome="off", measured="not asked by the policy")
    found = gate(measured, section)
    outcome: Outcome = "passed"
    if found.against or (found.on_request and not permitted):
        outcome = "failed"
    elif found.on_request:
        outcome = "allowed"
    return GateResult(
        gate=name,
        outcome=outcome,
        measured=found.measured,
        reasons=(*found.against, *found.on_request),
    )
