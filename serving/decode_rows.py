"""Rows as JSON objects, `{column: value}`, become columns."""

from typing import Any

from serving.problems import Code, refuse
from serving.table import Table


def read_rows(rows: Any, table: Table, name: str) -> None:
    """Read the list of objects that the request calls `name`."""
    _check_rows(rows, table, name)
    table.bound(max(map(len, rows)), "a row")
    keys = sum(map(len, rows))
    table.keys += keys
    found = sum(_read_column(column, rows, table) for column in table.schema.names)
    if found < keys:
        for extra in sorted(set().union(*rows).difference(table.schema.names)):
            table.unknown(extra)


def _check_rows(rows: Any, table: Table, name: str) -> None:
    if type(rows) is not list:
        raise refuse(400, Code.WRONG_STRUCTURE, "an array of rows is expected", name)
    if not rows:
        raise refuse(400, Code.WRONG_SHAPE, "at least one row is expected", name)
    table.agree(len(rows))
    for number, row in enumerate(rows):
        if type(row) is not dict:
            message = f"row {number} is not an object of column names and values"
            raise refuse(400, Code.WRONG_STRUCTURE, message, name)


def _read_column(name: str, rows: list[dict[str, Any]], table: Table) -> int:
    """Read one column out of all rows; returns how many of them have it."""
    try:
        values = [row[name] for row in rows]
    except KeyError:
        return _read_gaps(name, rows, table)
    table.read(name, values)
    return len(rows)


def _read_gaps(name: str, rows: list[dict[str, Any]], table: Table) -> int:
    """Read a column that some rows leave out: null, where the contract has null."""
    without = [number for number, row in enumerate(rows) if name not in row]
    if name in table.schema.required:
        where = f"row {without[0]}: " if len(rows) > 1 else ""
        table.spoil(name, Code.MISSING_INPUT, f"{where}this input is required")
    else:
        table.read(name, [row.get(name) for row in rows])
    return len(rows) - len(without)
