"""CSV with a header, as `DataFrame.to_csv(index=False)` writes it; an empty field is null."""

import csv
import io
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
    try:
        text = body.decode("utf-8-sig")  # spreadsheets put a byte order mark in front
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        raise refuse(400, Code.INVALID_UTF8, "the body is not UTF-8") from None
    except csv.Error as error:
        raise refuse(400, Code.MALFORMED_CSV, f"not CSV: {error}") from None
    if not lines:
        raise refuse(400, Code.EMPTY_BODY, "the body is empty")
    names, *rows = lines
    check_grid(names, rows)
    for position, name in enumerate(names):
        reader = table.schema.readers.get(name)
        datatype = "BYTES" if reader is None else reader.datatype
        table.offer(name, [_value(row[position], datatype) for row in rows])


def check_grid(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Refuse rows that are shorter or longer than the header."""
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
