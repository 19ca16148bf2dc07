"""Reading numbers without changing them: wider is fine, rounding and wrapping are not.

`_value` of each reader is the whole truth about one value. Lists of the usual kind are read in one
step; whatever needs a closer look is read value by value.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

import numpy as np

from registry.contract import Column
from serving.problems import Code
from serving.values import Array, UnfitError, each, require_nullable, wrong_type

EXACT = 2.0**53
"""Below it every integer is a double, and a double without a fraction is one integer."""
NUMBERS = frozenset({int, float})
SINGLE = struct.Struct("<f")


@dataclass(frozen=True, slots=True)
class Form:
    """What a datatype that a client may declare can hold."""

    name: str
    integral: bool
    low: float
    """Both bounds are Python integers for the integer types."""
    high: float
    exact: float = EXACT
    """Integers below this magnitude are held exactly."""
    dtype: type[np.floating[Any]] = np.float64
    rounding: struct.Struct | None = None

    def hold(self, value: float) -> float:
        """What a value is in this datatype."""
        if self.integral:
            number = whole(value) if type(value) is float else value
            if not self.low <= number <= self.high:
                raise UnfitError(Code.OUT_OF_RANGE, f"out of range for {self.name}")
            return number
        try:
            number = float(value)
            if self.rounding is not None:
                (number,) = self.rounding.unpack(self.rounding.pack(number))
        except OverflowError:
            raise UnfitError(Code.OUT_OF_RANGE, f"out of range for {self.name}") from None
        if type(value) is int and number != value:
            raise UnfitError(Code.LOSSY_NUMBER, f"an integer that {self.name} cannot hold exactly")
        return number


def _forms() -> Iterator[Form]:
    for bits in (8, 16, 32, 64):
        half = 2 ** (bits - 1)
        yield Form(f"INT{bits}", True, -half, half - 1)
        yield Form(f"UINT{bits}", True, 0, 2 * half - 1)
    infinite = (-math.inf, math.inf)
    yield Form("FP16", False, *infinite, 2.0**11, np.float16, struct.Struct("<e"))
    yield Form("FP32", False, *infinite, 2.0**24, np.float32, SINGLE)
    yield Form("FP64", False, *infinite)


FORMS = {form.name: form for form in _forms()}
FP64 = FORMS["FP64"]


class FloatReader:
    """Reads a float or double column; null is NaN."""

    def __init__(self, column: Column) -> None:
        self.datatype = column.datatype
        self._own = FORMS[self.datatype]
        self._plain = FP64 if self._own is FP64 else None
        self._nullable = column.nullable
        self._kinds = NUMBERS | {NoneType} if column.nullable else NUMBERS
        self._dtype = np.dtype(self._own.dtype)
        self._limit = float(np.finfo(self._dtype).max) if column.limit is None else column.limit

    def read(self, values: Sequence[Any], datatype: str) -> Array:
        """Read at least one row; raises UnfitError."""
        form = _form(datatype, self.datatype)
        if len(values) == 1:
            (value,) = values
            # The usual case. Whatever is not clearly it may take its time.
            if form is not self._plain or type(value) is not float or abs(value) > self._limit:
                value = self._value(value, form)
            array: Array = np.empty(1, self._dtype)
            array[0] = value
            return array
        many = self._many(values, form)
        if many is None:
            many = np.array(each(values, lambda value: self._value(value, form)), self._dtype)
        return many

    def _value(self, value: Any, form: Form) -> float:
        if value is None:
            require_nullable(self._nullable)
            return math.nan
        if type(value) not in NUMBERS:
            raise wrong_type(value, "a number")
        held = form.hold(value)
        number = held if form is self._own else self._own.hold(held)
        if number != held:
            raise UnfitError(Code.LOSSY_NUMBER, f"not a number that {self.datatype} holds exactly")
        if math.isinf(number):
            raise UnfitError(Code.NOT_FINITE, "infinite, or too large for a double")
        if abs(number) > self._limit:
            raise UnfitError(Code.OUT_OF_RANGE, f"beyond the limit of this input, {self._limit:g}")
        return number

    def _many(self, values: Sequence[Any], form: Form) -> Array | None:
        kinds = set(map(type, values))
        if not kinds <= self._kinds or (form.integral and float in kinds):
            return None
        try:
            array = np.array(values, np.float64)  # None becomes NaN
        except OverflowError:
            return None
        if int in kinds and (np.abs(array) >= form.exact).any():
            return None
        if form.integral and ((array < form.low).any() or (array > form.high).any()):
            return None
        if form.rounding is not None:
            with np.errstate(over="ignore"):
                array = array.astype(form.dtype).astype(np.float64)
        if (np.abs(array) > self._limit).any():
            return None
        own = array.astype(self._dtype, copy=False)
        return own if own is array or np.array_equal(own, array, equal_nan=True) else None


class IntegerReader:
    """Reads an integer or long column; there is no null."""

    def __init__(self, column: Column) -> None:
        self.datatype = column.datatype
        own = FORMS[self.datatype]
        limit = math.inf if column.limit is None else column.limit
        self._dtype = np.dtype(np.int32 if column.type == "integer" else np.int64)
        self._low, self._high = max(own.low, -limit), min(own.high, limit)

    def read(self, values: Sequence[Any], datatype: str) -> Array:
        """Read at least one row; raises UnfitError."""
        form = _form(datatype, self.datatype)
        if len(values) == 1:
            (value,) = values
            if type(value) is not int or datatype != self.datatype or not self._fits(value):
                value = self._value(value, form)
            array: Array = np.empty(1, self._dtype)
            array[0] = value
            return array
        low, high = max(self._low, form.low), min(self._high, form.high)
        plain = set(map(type, values)) == {int} and low <= min(values) and max(values) <= high
        if not (plain and form.integral):
            values = each(values, lambda value: self._value(value, form))
        return np.array(values, self._dtype)

    def _fits(self, number: float) -> bool:
        return self._low <= number <= self._high

    def _value(self, value: Any, form: Form) -> float:
        if value is None:
            require_nullable(nullable=False)
        if type(value) not in NUMBERS:
            raise wrong_type(value, "a whole number")
        held = form.hold(value)
        number = whole(held) if type(held) is float else held
        if not self._fits(number):
            raise UnfitError(Code.OUT_OF_RANGE, "beyond the limit of this input")
        return number


def whole(value: float) -> int:
    """The one integer that a floating-point value means."""
    if math.isinf(value):
        raise UnfitError(Code.NOT_FINITE, "infinite, or too large for a double")
    if not value.is_integer():
        raise UnfitError(Code.LOSSY_NUMBER, "a fraction where a whole number is expected")
    if abs(value) >= EXACT:
        raise UnfitError(Code.LOSSY_NUMBER, "a floating-point number too large to mean one integer")
    return int(value)


def _form(datatype: str, own: str) -> Form:
    form = FORMS.get(datatype)
    if form is None:
        raise UnfitError(Code.WRONG_DATATYPE, f"the datatype of this input is {own}")
    return form
