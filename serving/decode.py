"""A request becomes columns, or a refusal that says everything that is wrong with it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.contract import Contract


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one request."""

    max_rows: int
    max_bytes: int


@dataclass(slots=True)
class Request:
    """An accepted request."""

    columns: dict[str, NDArray[np.generic]]
    """In the contract's order; `serving.columns` says the dtypes and how null looks."""
    rows: int
    id: str | None = None
    outputs: tuple[str, ...] | None = None
    """The outputs asked for, in that order; None means all."""
    timeout_us: int | None = None
    raw: bool = False
    """The client sent raw gRPC contents and reads raw ones."""
    missing_rows: int = 0
    """Rows with at least one null."""
    unknown_categories: dict[str, int] | None = None
    """Rows whose value training has not seen, by column."""


class Decoder:
    """Reads requests for one contract. Every method raises `problems.Refusal`."""

    def __init__(self, contract: Contract, limits: Limits) -> None:
        self.contract = contract
        self.limits = limits

    def v2_json(self, body: bytes) -> Request:
        """Read a V2 inference request: a tensor a column, or rows as documents."""
        raise NotImplementedError

    def predict_json(self, body: bytes) -> Request:
        """Read `{"rows": [{column: value}]}`."""
        raise NotImplementedError

    def invocations(self, body: bytes, content_type: str) -> Request:
        """Read what MLflow's own scoring server takes: its JSON forms, and CSV."""
        raise NotImplementedError

    def v2_grpc(self, message: Any) -> Request:
        """Read an `inference.ModelInferRequest` message."""
        raise NotImplementedError
