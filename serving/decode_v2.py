"""The V2 (Open Inference) request: a tensor a column, or rows as JSON texts in one tensor.

A request is read in the shape that JSON gives it; a gRPC message is brought into that shape first.
"""

from collections.abc import Mapping, Set
from typing import Any

import orjson

from serving.columns import JSON_TEXT
from serving.decode_head import known_content_type, listing, read_head
from serving.decode_json import BINARY_TENSOR, check_keys, parse
from serving.decode_rows import read_rows
from serving.problems import Code, Refusal, refuse
from serving.table import TWICE, Table
from serving.values import UnfitError, each, wrong_type

ROWS = "rows"
"""The input whose elements are whole rows as JSON, unless the model has a column of that name."""
ROWS_CONTENT_TYPES = frozenset({"str", "np", JSON_TEXT})
TENSOR_FIELDS = frozenset({"name", "shape", "datatype", "data", "parameters"})
BINARY_PARAMETERS = frozenset({"binary_data_size", "shared_memory_region"})


def read_v2(document: Mapping[str, Any], table: Table) -> None:
    """Read a parsed request into the table."""
    read_head(document, table)
    inputs = document.get("inputs")
    if type(inputs) is not list:
        raise refuse(400, Code.WRONG_STRUCTURE, "`inputs` must be an array of tensors")
    table.bound(len(inputs), "`inputs`")
    if len(inputs) == 1:
        inputs = _only_input(inputs[0], table)
    for tensor in inputs:
        _read_tensor(tensor, table)


def _only_input(tensor: Any, table: Table) -> list[Any]:
    """What is left to read of a single tensor that need not be named as a column."""
    name = tensor.get("name") if type(tensor) is dict else None
    if type(name) is not str or name in table.schema.readers:
        return [tensor]
    if name == ROWS:
        _read_documents(tensor, table)
        return []
    return [tensor if table.schema.text is None else {**tensor, "name": table.schema.text}]


def _read_tensor(tensor: Any, table: Table) -> None:
    try:
        name = tensor["name"]
        reader = table.schema.readers[name]
    except (KeyError, TypeError):
        _explain_name(tensor, table)
        return
    if table.has(name):
        table.spoil(name, Code.DUPLICATE_INPUT, TWICE)
        return
    try:
        datatype, values = _contents(tensor, table.schema.content_types[name], table)
        if len(tensor) != 4 and _is_json_text(tensor, datatype):
            datatype, values = reader.datatype, each(values, _loads)
        table.columns[name] = reader.read(values, datatype)
    except UnfitError as unfit:
        table.spoil(name, unfit.code, unfit.message)


def _explain_name(tensor: Any, table: Table) -> None:
    name = tensor.get("name") if type(tensor) is dict else None
    if type(name) is str:
        table.unknown(name)
    else:
        message = "an element of `inputs` must be an object with a `name`"
        table.problems.add(None, Code.WRONG_STRUCTURE, message)


def _read_documents(tensor: Mapping[str, Any], table: Table) -> None:
    try:
        datatype, texts = _contents(tensor, ROWS_CONTENT_TYPES, table)
        rows = each(texts, _document)
    except UnfitError as unfit:
        raise refuse(400, unfit.code, unfit.message, ROWS) from None
    if datatype != "BYTES":
        raise refuse(400, Code.WRONG_DATATYPE, "the datatype of this input is BYTES", ROWS)
    read_rows(rows, table, ROWS)


def _document(text: Any) -> dict[str, Any]:
    if type(text) is not str:
        raise wrong_type(text, "a JSON object as a string")
    body = text.encode()
    try:
        document = parse(body)
        check_keys(body, len(document))
    except Refusal as refusal:
        raise UnfitError(refusal.problems[0].code, refusal.error) from None
    return document


def _contents(
    tensor: Mapping[str, Any], content_types: Set[str], table: Table
) -> tuple[str, list[Any]]:
    """Datatype and flat values of a tensor, once its form is right."""
    table.keys += len(tensor)
    if len(tensor) != 4:
        _check_fields(tensor, content_types, table)
    try:
        shape, datatype, data = tensor["shape"], tensor["datatype"], tensor["data"]
    except KeyError as field:
        _check_fields(tensor, content_types, table)
        raise UnfitError(Code.WRONG_STRUCTURE, f"this input has no `{field.args[0]}`") from None
    # Tensors of one request mostly have the same shape. [true] and [1.0] are equal to [1], too.
    if shape != table.shape or type(shape[0]) is not int or type(shape[-1]) is not int:
        _agree(shape, table)
    if type(data) is not list or len(data) != table.rows:
        raise _wrong_data(data)
    if type(data[0]) is list:
        data = _flatten(data, len(shape))
    if type(datatype) is not str:
        raise UnfitError(Code.WRONG_DATATYPE, "`datatype` must be a string")
    return datatype, data


def _agree(shape: Any, table: Table) -> None:
    """Take a shape [n] or [n, 1] whose n is that of the inputs before."""
    plain = type(shape) is list and len(shape) in {1, 2} and set(map(type, shape)) == {int}
    if not plain or shape[0] < 1 or (len(shape) == 2 and shape[1] != 1):
        raise UnfitError(Code.WRONG_SHAPE, "`shape` must be [n] or [n, 1], with n at least 1")
    if not table.agree(shape[0]):
        raise UnfitError(Code.WRONG_SHAPE, table.disagreement)
    table.shape = shape


def _wrong_data(data: Any) -> UnfitError:
    if type(data) is UnfitError:  # a gRPC message brings what is wrong with its data along
        return data
    if type(data) is not list:
        return UnfitError(Code.WRONG_STRUCTURE, "`data` must be an array")
    return UnfitError(Code.WRONG_SHAPE, "`data` has not as many values as `shape` says")


def _check_fields(tensor: Mapping[str, Any], content_types: Set[str], table: Table) -> None:
    """Look at a tensor that has more than, or not all of, the four fields of a plain one."""
    parameters = tensor.get("parameters")
    if parameters is None:
        parameters = {}
    if type(parameters) is not dict:
        raise UnfitError(Code.WRONG_STRUCTURE, "`parameters` must be an object")
    if not BINARY_PARAMETERS.isdisjoint(parameters):
        raise UnfitError(Code.BINARY_TENSOR, BINARY_TENSOR)
    if not tensor.keys() <= TENSOR_FIELDS:
        raise UnfitError(Code.UNKNOWN_FIELD, f"the fields are {listing(TENSOR_FIELDS)}")
    if not known_content_type(parameters, content_types):
        message = f"the content types of this input are {listing(content_types)}"
        raise UnfitError(Code.UNKNOWN_CONTENT_TYPE, message)
    table.keys += len(parameters)


def _flatten(data: list[Any], dimensions: int) -> list[Any]:
    """Data nested to the shape [n, 1]."""
    if dimensions != 2 or any(type(row) is not list or len(row) != 1 for row in data):
        raise UnfitError(Code.WRONG_SHAPE, "`data` is neither flat nor nested as `shape` says")
    return [row[0] for row in data]


def _is_json_text(tensor: Mapping[str, Any], datatype: str) -> bool:
    parameters = tensor["parameters"] or {}
    if parameters.get("content_type") != JSON_TEXT:
        return False
    if datatype != "BYTES":
        raise UnfitError(Code.WRONG_DATATYPE, f"{JSON_TEXT} has the datatype BYTES")
    return True


def _loads(text: Any) -> Any:
    if type(text) is not str:
        raise wrong_type(text, "JSON as a string")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UnfitError(Code.MALFORMED_JSON, "not JSON") from None
