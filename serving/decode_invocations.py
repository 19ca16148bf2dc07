"""What MLflow's scoring server takes at /invocations: four JSON forms, and CSV."""

from collections.abc import Callable, Mapping
from typing import Any

from serving.decode_csv import check_grid, read_csv
from serving.decode_json import check_keys, parse
from serving.decode_rows import read_rows
from serving.problems import Code, refuse
from serving.table import Table

MEDIA_TYPES = ("application/json", "text/csv")
SPLIT_FIELDS = frozenset({"columns", "data", "index"})


def read_invocations(body: bytes, content_type: str, table: Table) -> None:
    """Read a body as its content type says."""
    if _media_type(content_type) == "text/csv":
        read_csv(body, table)
        return
    document = parse(body)
    _read_form(document, table)
    check_keys(body, table.keys)


def _media_type(content_type: str) -> str:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    plain = all(parameter in {"charset=utf-8", 'charset="utf-8"'} for parameter in parameters)
    if media_type not in MEDIA_TYPES or not plain:
        raise refuse(
            415,
            Code.UNSUPPORTED_MEDIA_TYPE,
            "send Content-Type: application/json or text/csv, in UTF-8",
        )
    return media_type


def _read_form(document: Mapping[str, Any], table: Table) -> None:
    table.check_fields(document, FIELDS)
    forms = document.keys() & READERS.keys()
    if len(forms) != 1:
        message = f"exactly one of {', '.join(READERS)} is expected"
        raise refuse(400, Code.WRONG_STRUCTURE, message)
    (form,) = forms
    if document.get("params") not in (None, {}):
        table.problems.add(None, Code.WRONG_PARAMETER, "this model takes no `params`")
    READERS[form](document[form], table)


def _read_split(frame: Any, table: Table) -> None:
    if type(frame) is not dict or not {"columns", "data"} <= frame.keys() <= SPLIT_FIELDS:
        message = "an object with `columns` and `data` (and `index`) is expected"
        raise refuse(400, Code.WRONG_STRUCTURE, message, "dataframe_split")
    table.keys += len(frame)
    names, rows, index = frame["columns"], frame["data"], frame.get("index")
    if type(names) is not list or any(type(name) is not str for name in names):
        message = "`columns` must be an array of strings"
        raise refuse(400, Code.WRONG_STRUCTURE, message, "dataframe_split")
    if type(rows) is not list or any(type(row) is not list for row in rows):
        message = "`data` must be an array of rows, each an array of values"
        raise refuse(400, Code.WRONG_STRUCTURE, message, "dataframe_split")
    if index is not None and (type(index) is not list or len(index) != len(rows)):
        message = "`index` must have an element for each row of `data`"
        raise refuse(400, Code.WRONG_SHAPE, message, "dataframe_split")
    table.bound(len(names), "`columns`")
    check_grid(names, rows, table)
    for position, name in enumerate(names):
        table.offer(name, [row[position] for row in rows])


def _read_records(rows: Any, table: Table) -> None:
    read_rows(rows, table, "dataframe_records")


def _read_instances(instances: Any, table: Table) -> None:
    _read_list(instances, table, "instances")


def _read_inputs(inputs: Any, table: Table) -> None:
    if type(inputs) is not dict:
        _read_list(inputs, table, "inputs")
        return
    table.keys += len(inputs)
    table.bound(len(inputs), "`inputs`")
    for name, values in inputs.items():
        # MLflow reads a value that is no array as a single row.
        table.offer(name, values if type(values) is list else [values])


def _read_list(values: Any, table: Table, form: str) -> None:
    """Read rows; a model of one column also takes its bare values."""
    (only, *others) = table.schema.names
    if type(values) is list and values and type(values[0]) is not dict and not others:
        table.offer(only, values)
    else:
        read_rows(values, table, form)


READERS: Mapping[str, Callable[[Any, Table], None]] = {
    "dataframe_split": _read_split,
    "dataframe_records": _read_records,
    "instances": _read_instances,
    "inputs": _read_inputs,
}
FIELDS = READERS.keys() | {"params"}
