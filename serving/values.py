"""Reading the values of a column that are not numbers: one JSON type a column."""

import binascii
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import NoneType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from serving.problems import Code

Array = NDArray[np.generic]
T = TypeVar("T")

# The extended format, as `isoformat()` and `str()` write it; beyond microseconds only zeros.
ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6}0*)?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
JSON_NAMES = {
    NoneType: "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


class UnfitError(Exception):
    """A value does not fit its column; the message never repeats the value."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ValueReader:
    """Reads values of one JSON type; `convert` makes them what the array holds."""

    def __init__(
        self,
        kind: type,
        datatype: str,
        dtype: np.dtype[Any],
        nullable: bool,
        convert: Callable[[Any], Any] | None = None,
    ) -> None:
        self.datatype = datatype
        self._kind = kind
        self._dtype = dtype
        self._nullable = nullable
        self._convert = convert
        self._kinds = {kind, NoneType} if nullable else {kind}

    def read(self, values: Sequence[Any], datatype: str) -> Array:
        """Read at least one row; raises UnfitError."""
        if datatype != self.datatype:
            raise UnfitError(Code.WRONG_DATATYPE, f"the datatype of this input is {self.datatype}")
        if len(values) == 1:
            (value,) = values
            if type(value) is not self._kind or self._convert is not None:
                value = self._value(value)
            array = np.empty(1, self._dtype)  # twice as fast as np.array
            array[0] = value
            return array
        if self._convert is not None or not self._kinds.issuperset(map(type, values)):
            values = each(values, self._value)
        return np.array(values, self._dtype)

    def _value(self, value: Any) -> Any:
        if value is None:
            require_nullable(self._nullable)
            return None
        if type(value) is not self._kind:
            raise wrong_type(value, JSON_NAMES[self._kind])
        return value if self._convert is None else self._convert(value)


def each(values: Sequence[Any], read: Callable[[Any], T]) -> list[T]:
    """Read values one by one; the message says which row does not fit."""
    array = []
    for row, value in enumerate(values):
        try:
            array.append(read(value))
        except UnfitError as unfit:
            if len(values) == 1:
                raise
            raise UnfitError(unfit.code, f"row {row}: {unfit.message}") from None
    return array


def require_nullable(nullable: bool) -> None:
    """Refuse null where the contract has none."""
    if not nullable:
        raise UnfitError(Code.NULL, "null (or NaN) where a value is required")


def wrong_type(value: Any, expected: str) -> UnfitError:
    """A value of another JSON type than the column's."""
    if type(value) is list:
        return UnfitError(Code.WRONG_SHAPE, f"an array where {expected} is expected")
    found = JSON_NAMES[type(value)]
    return UnfitError(Code.WRONG_DATATYPE, f"{found} where {expected} is expected")


def parse_datetime(text: str) -> datetime:
    """Read ISO 8601; without an offset it is UTC, and UTC is what comes back."""
    if not ISO_8601.fullmatch(text):
        raise UnfitError(
            Code.INVALID_DATETIME, "not an ISO 8601 date or time, such as 2026-01-31T12:00:00Z"
        )
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise UnfitError(Code.INVALID_DATETIME, "no such date or time") from None


def parse_base64(text: str) -> bytes:
    """Read base64 (RFC 4648, padded), refusing what a lenient decoder would skip."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        data = None
    if data is None or binascii.b2a_base64(data, newline=False).decode() != text:
        raise UnfitError(Code.INVALID_BASE64, "not base64 with padding")
    return data
