"""Tables that fit a contract, and every way to write one down: the ground of the property tests."""

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tritonclient.grpc.service_pb2 import ModelInferRequest

from registry.contract import FLOAT32_MAX, Column, Contract
from tests.serving.cases_grpc import message

Row = dict[str, Any]
Rows = Sequence[Row]
"""Rows of None, bool, int, float, str, datetime and bytes."""

EXACT = 2**53


def cells(column: Column) -> st.SearchStrategy[Any]:
    """Values that fit a column, null among them where it may be."""
    values = _values(column)
    return st.none() | values if column.nullable else values


def _values(column: Column) -> st.SearchStrategy[Any]:
    limit = min(column.limit or math.inf, 1.7e308)
    known = st.sampled_from(column.categories or ("",))
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(-FLOAT32_MAX, FLOAT32_MAX, width=32),
        "double": st.floats(-limit, limit),
        "string": known | st.text(max_size=20),
        "datetime": st.datetimes(),
        "binary": st.binary(max_size=20),
    }
    return strategies[column.type]


def tables(contract: Contract, most_rows: int = 6) -> st.SearchStrategy[list[Row]]:
    """Tables that fit a contract."""
    row = st.fixed_dictionaries({column.name: cells(column) for column in contract.columns})
    return st.lists(row, min_size=1, max_size=most_rows)


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def documents(rows: Rows) -> list[Row]:
    """The rows as JSON objects."""
    return [{name: plain(value) for name, value in row.items()} for row in rows]


# Each way to write a table: a path, a content type and a body; or a gRPC message.
Rest = tuple[str, str, bytes]
JSON = "application/json"


def predict(rows: Rows) -> Rest:
    return "/predict", JSON, dump({"rows": documents(rows)})


def split(rows: Rows) -> Rest:
    names = list(rows[0])
    data = [[row[name] for name in names] for row in documents(rows)]
    return "/invocations", JSON, dump({"dataframe_split": {"columns": names, "data": data}})


def records(rows: Rows) -> Rest:
    return "/invocations", JSON, dump({"dataframe_records": documents(rows)})


def columns(rows: Rows) -> Rest:
    some = documents(rows)
    return "/invocations", JSON, dump({"inputs": {n: [row[n] for row in some] for n in rows[0]}})


def row_documents(rows: Rows) -> Rest:
    data = [json.dumps(row) for row in documents(rows)]
    tensor = {"name": "rows", "datatype": "BYTES", "shape": [len(data), 1], "data": data}
    return "infer", JSON, dump({"inputs": [tensor]})


def table(rows: Rows) -> Rest:
    """CSV, in which null and empty text are the same."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(documents(rows))
    return "/invocations", "text/csv", text.getvalue().encode()


@st.composite
def tensors(draw: st.DrawFn, contract: Contract, rows: Rows) -> Row:
    """A V2 request for the rows: any order, any datatype that holds the values, any form."""
    inputs = []
    for column in draw(st.permutations(contract.columns)):
        data = [plain(row[column.name]) for row in rows]
        if column.nullable and set(data) == {None} and draw(st.booleans()):
            continue
        tensor = {
            "name": column.name,
            "datatype": draw(st.sampled_from(datatypes(column, data))),
            "shape": draw(st.sampled_from([[len(rows)], [len(rows), 1]])),
            "data": data,
        }
        if len(tensor["shape"]) == 2 and draw(st.booleans()):
            tensor["data"] = [[value] for value in data]
        inputs.append(tensor)
    return {"inputs": inputs}


def messages(contract: Contract, rows: Rows) -> list[ModelInferRequest]:
    """The rows as messages, typed and raw, unless they have nulls that only JSON can say."""
    inputs = []
    for column in contract.columns:
        data = [plain(row[column.name]) for row in rows]
        if set(data) == {None}:
            continue
        if None in data and column.type not in ("float", "double"):
            return []
        inputs.append(
            {
                "name": column.name,
                "datatype": column.datatype,
                "shape": [len(rows), 1],
                "data": [math.nan if value is None else value for value in data],
            }
        )
    return [message({"inputs": inputs}, raw) for raw in (False, True)]


def datatypes(column: Column, data: Sequence[Any]) -> list[str]:
    """The V2 datatypes that can carry these values to this column without changing them."""
    given = [value for value in data if value is not None]
    if column.datatype in ("BOOL", "BYTES"):
        return [column.datatype]
    found = []
    for bits in (8, 16, 32, 64):
        for name, low, high in (
            (f"INT{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
            (f"UINT{bits}", 0, 2**bits - 1),
        ):
            whole = all(isinstance(v, int) or (v.is_integer() and abs(v) < EXACT) for v in given)
            if whole and all(low <= value <= high for value in given):
                found.append(name)
    for name, dtype in (("FP16", np.float16), ("FP32", np.float32), ("FP64", np.float64)):
        with np.errstate(over="ignore"):
            large = column.datatype.startswith("INT") and any(abs(v) >= EXACT for v in given)
            if not large and all(float(dtype(v)) == v for v in given):
                found.append(name)
    return found


def dump(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


REST: Mapping[str, Callable[[Rows], Rest]] = {
    "predict": predict,
    "split": split,
    "records": records,
    "columns": columns,
    "row-documents": row_documents,
    "csv": table,
}
