"""Whether served answers are the pipeline's answers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from registry.contract import Contract


class Difference(NamedTuple):
    """How far answers are from the ones expected."""

    rows: int
    label_flips: int
    largest: float
    """Absolute for probabilities, relative for regression."""

    def within(self, tolerance: float) -> bool:
        """Whether the answers count as equal: same labels, numbers within the tolerance."""
        return self.label_flips == 0 and self.largest <= tolerance


def compare(
    contract: Contract,
    expected: Mapping[str, Sequence[Any]],
    answered: Mapping[str, Any],
) -> Difference:
    """Compare outputs by name, row for row; a missing row or a NaN is infinitely far.

    Probabilities are compared where they were answered: /invocations answers labels only.
    """
    wanted = np.asarray(expected["prediction"])
    got = np.asarray(answered["prediction"])
    if got.shape != wanted.shape:
        return Difference(len(wanted), len(wanted), np.inf)
    if contract.task == "regression":
        return Difference(len(wanted), 0, _largest(got, wanted, relative=True))
    flips = int(np.sum(got.astype(wanted.dtype) != wanted))
    if "probability" not in answered:
        return Difference(len(wanted), flips, 0.0)
    probabilities = np.asarray(expected["probability"], dtype=np.float64)
    answers = np.asarray(answered["probability"], dtype=np.float64)
    if answers.shape != probabilities.shape:
        return Difference(len(wanted), flips, np.inf)
    return Difference(len(wanted), flips, _largest(answers, probabilities, relative=False))


def _largest(got: Any, wanted: Any, *, relative: bool) -> float:
    scale = np.maximum(np.abs(wanted), np.finfo(np.float64).tiny) if relative else 1.0
    distance = np.abs(got.astype(np.float64) - wanted) / scale
    return float(np.max(np.where(np.isnan(distance), np.inf, distance), initial=0.0))
