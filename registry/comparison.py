"""Two versions side by side, on the second one's hold-out rows."""

from dataclasses import dataclass

from mlflow import MlflowClient

from registry import versions
from registry.measure import measure
from registry.measurements import Measurements
from registry.policy import Policy
from registry.versions import Version


@dataclass(frozen=True)
class Comparison:
    """What the second version does that the first did not."""

    first: Version
    second: Version
    measured: Measurements


def compare(client: MlflowClient, name: str, first: int, second: int, policy: Policy) -> Comparison:
    """Measure the second against the first as promotion would, but serve nothing."""
    quiet = policy.model_copy(update={"parity": None, "capacity": None})
    one = versions.resolve(client, name, first)
    other = versions.resolve(client, name, second)
    return Comparison(one, other, measure(client, other, one, quiet))
