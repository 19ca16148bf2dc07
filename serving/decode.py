"""A request becomes columns, or a refusal that says everything that is wrong with it."""

from typing import Any

from registry.contract import Contract
from serving.columns import Schema
from serving.decode_grpc import read_message
from serving.decode_invocations import read_invocations
from serving.decode_json import check_keys, parse
from serving.decode_rows import read_rows
from serving.decode_v2 import ROWS, read_v2
from serving.problems import too_large
from serving.table import Limits, Request, Table

__all__ = ["Decoder", "Limits", "Request"]


class Decoder:
    """Reads requests for one contract. Every method raises `problems.Refusal`."""

    def __init__(self, contract: Contract, limits: Limits) -> None:
        self._schema = Schema(contract)
        self._limits = limits

    def v2_json(self, body: bytes) -> Request:
        """Read a V2 inference request: a tensor a column, or rows as documents."""
        document = self._parse(body)
        table = Table(self._schema, self._limits)
        read_v2(document, table)
        check_keys(body, table.keys)
        return table.request()

    def predict_json(self, body: bytes) -> Request:
        """Read `{"rows": [{column: value}]}`."""
        document = self._parse(body)
        table = Table(self._schema, self._limits)
        table.check_fields(document, {ROWS})
        read_rows(document.get(ROWS), table, ROWS)
        check_keys(body, table.keys)
        return table.request()

    def invocations(self, body: bytes, content_type: str) -> Request:
        """Read what MLflow's own scoring server takes: its JSON forms, and CSV."""
        self._check_size(len(body))
        table = Table(self._schema, self._limits)
        read_invocations(body, content_type, table)
        return table.request()

    def v2_grpc(self, message: Any) -> Request:
        """Read an `inference.ModelInferRequest` message."""
        table = Table(self._schema, self._limits)
        document = read_message(message)
        read_v2(document, table)
        request = table.request()
        request.raw = bool(message.raw_input_contents)
        return request

    def _parse(self, body: bytes) -> dict[str, Any]:
        self._check_size(len(body))
        return parse(body)

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise too_large(self._limits.max_bytes)
