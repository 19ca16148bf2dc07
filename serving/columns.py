"""A contract, compiled: what reads each column, and what is worth counting in what was read.

Decoded columns are 1-D arrays of the same length:

| column | array | null |
| --- | --- | --- |
| boolean | bool; object when nullable | None |
| integer, long | int32, int64 | never |
| float, double | float32, float64 | NaN |
| string, binary | object, of str or bytes | None |
| datetime | datetime64[us], in UTC | NaT |
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from registry.contract import Column, Contract
from serving.numeric import FloatReader, IntegerReader
from serving.values import Array, ValueReader, parse_base64, parse_datetime

OBJECT = np.dtype(object)
JSON_TEXT = "pd_json"
"""What MLServer's pandas codec calls a column with nulls: each element is JSON text."""
# What MLServer's codecs and their users declare for the tensors of a column.
CONTENT_TYPES: Mapping[str, frozenset[str]] = {
    "string": frozenset({"str", "np", JSON_TEXT}),
    "datetime": frozenset({"datetime", "str", "np", JSON_TEXT}),
    "binary": frozenset({"base64", JSON_TEXT}),
}
OTHERS = frozenset({"np", JSON_TEXT})


class Reader(Protocol):
    """Reads one column."""

    datatype: str
    """The V2 datatype that metadata announces."""

    def read(self, values: Sequence[Any], datatype: str) -> Array:
        """Read one or more plain Python values declared as `datatype`; raises UnfitError."""
        ...


def reader(column: Column) -> Reader:
    """The reader of one column."""
    if column.type in {"float", "double"}:
        return FloatReader(column)
    if column.type in {"integer", "long"}:
        return IntegerReader(column)
    if column.type == "boolean":
        dtype = OBJECT if column.nullable else np.dtype(np.bool_)
        return ValueReader(bool, column.datatype, dtype, column.nullable)
    if column.type == "datetime":
        dtype = np.dtype("datetime64[us]")
        return ValueReader(str, column.datatype, dtype, column.nullable, parse_datetime)
    convert = parse_base64 if column.type == "binary" else None
    return ValueReader(str, column.datatype, OBJECT, column.nullable, convert)


class Schema:
    """The compiled contract that every way in shares."""

    def __init__(self, contract: Contract) -> None:
        columns = contract.columns
        self.names = tuple(column.name for column in columns)
        self.readers = {column.name: reader(column) for column in columns}
        self.required = frozenset(column.name for column in columns if not column.nullable)
        self.content_types = {c.name: CONTENT_TYPES.get(c.type, OTHERS) for c in columns}
        self.outputs = frozenset(output.name for output in contract.outputs)
        single = len(columns) == 1 and columns[0].type == "string"
        self.text = self.names[0] if single else None
        """The only column of a model that takes one text a row."""
        self._nullable = tuple(column.name for column in columns if column.nullable)
        self._categories = {c.name: frozenset(c.categories) for c in columns if c.categories}

    def like(self, name: str) -> str:
        """A hint at the column that an unknown name may have meant."""
        close = difflib.get_close_matches(name, self.names, n=1)
        return f"; did you mean {close[0]}?" if close else ""

    def observe(self, columns: Mapping[str, Array], rows: int) -> tuple[int, dict[str, int]]:
        """Count rows with a null, and by column rows with a category that training has not seen.

        The empty string is no category: pipelines read it as they read null.
        """
        if rows == 1:
            return self._observe_row(columns)
        unknown = {}
        for name, known in self._categories.items():
            values = columns[name].tolist()
            if not known.issuperset(values):
                strange = sum(1 for value in values if value and value not in known)
                if strange:
                    unknown[name] = strange
        missing = np.zeros(rows, np.bool_)
        for name in self._nullable:
            missing |= _nulls(columns[name])
        return int(missing.sum()), unknown

    def _observe_row(self, columns: Mapping[str, Array]) -> tuple[int, dict[str, int]]:
        missing = 0
        unknown = {}
        for name in self._nullable:
            value = columns[name].item()
            if value is None or value != value:  # noqa: PLR0124 - NaN is
                missing = 1
                break
        for name, known in self._categories.items():
            value = columns[name].item()
            if value and value not in known:
                unknown[name] = 1
        return missing, unknown


def _nulls(column: Array) -> NDArray[np.bool_]:
    if column.dtype == OBJECT:
        return np.array([value is None for value in column], np.bool_)
    return np.isnat(column) if column.dtype.kind == "M" else np.isnan(column.astype(np.float64))
