"""CSV with a header, as `DataFrame.to_csv(index=False)` writes it; an empty field is null."""

import csv
import io
import itertools
import re
from collections.abc import Sequence
from typing import Any

from serving.problems import Code, refuse
from serving.table import Table

INTEGER = re.compile(r"[+-]?\d{1,4000}", re.ASCII)  # Python converts no more digits
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
BOOLEANS = {"true": True, "false": False}


def read_csv(body: bytes, table: Table) -> None:
    """Read a CSV file into the table."""
    names, *rows = _lines(body, table)
    check_grid(names, rows, table)
    for position, name in enumerate(names):
        reader = table.schema.readers.get(name)
        datatype = "BYTES" if reader is None else reader.datatype
        table.offer(name, [_value(row[position], datatype) for row in rows])


def _lines(body: bytes, table: Table) -> list[list[str]]:
    """The header and the rows, not many more than there may be."""
    if not body:
        raise refuse(400, Code.EMPTY_BODY, "the body is empty")
    try:
        text = body.decode("utf-8-sig")  # spreadsheets put a byte order mark in front
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = list(itertools.islice(reader, table.limits.max_rows + 2))
    except UnicodeDecodeError:
        raise refuse(400, Code.INVALID_UTF8, "the body is not UTF-8") from None
    except csv.Error as error:
        raise refuse(400, Code.MALFORMED_CSV, f"not CSV: {error}") from None
    table.bound(len(lines[0]), "the header")
    return lines


def check_grid(names: Sequence[str], rows: Sequence[Sequence[Any]], table: Table) -> None:
    """Refuse too many rows, and rows that are shorter or longer than the header."""
    table.agree(len(rows))
    for number, row in enumerate(rows):
        if len(row) != len(names):
            message = f"row {number} does not have a value for each of the {len(names)} columns"
            raise refuse(400, Code.WRONG_SHAPE, message)


def _value(field: str, datatype: str) -> Any:
    """What a field means in a column; a field that means nothing there stays text."""
    if field == "":
        return None
    if datatype == "BYTES":
        return field
    if datatype == "BOOL":
        return BOOLEANS.get(field.lower(), field)
    if INTEGER.fullmatch(field):
        return int(field)
    return float(field) if DECIMAL.fullmatch(field) else field
