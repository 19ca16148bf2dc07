"""A request while it is read: columns so far, and all that is wrong with it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from serving.columns import Schema
from serving.problems import Code, Problems, clip, refuse
from serving.values import Array, UnfitError

MOST_HINTS = 4
MOST_STRAY = 100
"""Entries beyond the model's own that are looked at one by one: no request can buy much work."""
TWICE = "this input is there twice"
NO_ROWS = "at least one row is expected"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one request."""

    max_rows: int
    max_bytes: int


@dataclass(slots=True)
class Request:
    """An accepted request."""

    columns: dict[str, Array]
    """In the contract's order; `serving.columns` says the dtypes and how null looks."""
    rows: int
    missing_rows: int
    """Rows with at least one null."""
    unknown_categories: dict[str, int]
    """Rows with a category that training has not seen, by column."""
    id: str | None = None
    outputs: tuple[str, ...] | None = None
    """The outputs asked for, in that order; None means all."""
    timeout_us: int | None = None
    raw: bool = False
    """The client sent raw gRPC contents, and reads raw ones."""


class Table:
    """Collects the columns of one request."""

    def __init__(self, schema: Schema, limits: Limits) -> None:
        self.schema = schema
        self.limits = limits
        self.problems = Problems()
        self.columns: dict[str, Array] = {}
        self.rows = 0
        """0 until the first column says it."""
        self.shape: Sequence[int] = ()
        """The last V2 shape that was accepted; no list is equal to a tuple."""
        self.keys = 0
        """Keys of JSON objects met so far, for `decode_json.check_keys`."""
        self.id: str | None = None
        self.outputs: tuple[str, ...] = ()
        self.timeout_us: int | None = None
        self._spoilt: set[str] = set()

    def bound(self, entries: int, where: str) -> None:
        """Refuse far more entries than there are columns, before looking at each of them."""
        if entries > len(self.schema.names) + MOST_STRAY:
            message = f"{where} has far more entries than this model has inputs"
            raise refuse(400, Code.WRONG_STRUCTURE, message)

    def has(self, name: str) -> bool:
        """Whether the request has given this column already, well or badly."""
        return name in self.columns or name in self._spoilt

    def offer(self, name: str, values: Sequence[Any]) -> None:
        """Read what the request calls by this name, if it is a column of the contract."""
        if name not in self.schema.readers:
            self.unknown(name)
        elif self.has(name):
            self.spoil(name, Code.DUPLICATE_INPUT, TWICE)
        elif not values:
            self.spoil(name, Code.WRONG_SHAPE, NO_ROWS)
        elif not self.agree(len(values)):
            self.spoil(name, Code.WRONG_SHAPE, self.disagreement)
        else:
            self.read(name, values)

    def read(self, name: str, values: Sequence[Any]) -> None:
        """Read a column of the contract from values that have no declared datatype."""
        reader = self.schema.readers[name]
        try:
            self.columns[name] = reader.read(values, reader.datatype)
        except UnfitError as unfit:
            self.spoil(name, unfit.code, unfit.message)

    def spoil(self, name: str, code: Code, message: str) -> None:
        """Note what is wrong with a column that the request does give."""
        self._spoilt.add(name)
        self.problems.add(name, code, message)

    def check_fields(self, document: Mapping[str, Any], known: Set[str]) -> None:
        """Note fields that a request does not have."""
        self.keys += len(document)
        self.bound(len(document), "the request")
        for field in sorted(document.keys() - known):
            self.problems.add(None, Code.UNKNOWN_FIELD, f"there is no field {clip(field)}")

    def unknown(self, name: str) -> None:
        """Note an input that the contract does not have."""
        # Looking for a near name costs more than all the rest: nobody gets many for nothing.
        hint = self.schema.like(clip(name)) if self.problems.count < MOST_HINTS else ""
        self.problems.add(name, Code.UNKNOWN_INPUT, f"this model has no such input{hint}")

    def agree(self, rows: int) -> bool:
        """Take the number of rows from the first column; the others must have as many."""
        if not self.rows:
            if rows > self.limits.max_rows:
                message = f"one request may have {self.limits.max_rows} rows; send several"
                raise refuse(413, Code.TOO_MANY_ROWS, message)
            self.rows = rows
        return rows == self.rows

    @property
    def disagreement(self) -> str:
        """What to say of a column of another length."""
        return f"the inputs before this one have {self.rows} rows"

    def request(self) -> Request:
        """The whole request, or the refusal that lists its problems."""
        if len(self.columns) < len(self.schema.names):
            self._fill()
        if not self.rows and not self.problems.count:
            self.problems.add(None, Code.WRONG_SHAPE, NO_ROWS)
        if self.problems.count:
            raise self.problems.refusal()
        columns = {name: self.columns[name] for name in self.schema.names}
        missing, unknown = self.schema.observe(columns, self.rows)
        outputs = self.outputs or None
        return Request(columns, self.rows, missing, unknown, self.id, outputs, self.timeout_us)

    def _fill(self) -> None:
        """A nullable column that is left out is null in every row."""
        for name in self.schema.names:
            if self.has(name):
                continue
            if name in self.schema.required:
                self.problems.add(name, Code.MISSING_INPUT, "this input is required")
            elif self.rows and not self.problems.count:
                self.read(name, [None] * self.rows)
