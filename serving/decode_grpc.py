"""A gRPC inference request, brought into the shape that JSON gives it.

Messages are read by the names of their fields; this module imports no protobuf classes.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.problems import Code, refuse
from serving.values import UnfitError, each

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the protocol puts the values of a datatype. FP16 has no such field."""
RAW = {
    "BOOL": "|u1",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""How raw contents lay out the values of a datatype; BYTES are length-prefixed."""
LENGTH = struct.Struct("<I")


def read_message(message: Any) -> dict[str, Any]:
    """What a ModelInferRequest asks; data that makes no sense becomes an UnfitError."""
    raw = message.raw_input_contents
    inputs = message.inputs
    if raw and len(raw) != len(inputs):
        raise refuse(
            400,
            Code.WRONG_STRUCTURE,
            "`raw_input_contents` must have one element for each input, or none at all",
        )
    contents = raw or [None] * len(inputs)
    document: dict[str, Any] = {"inputs": list(map(_tensor, inputs, contents))}
    if message.id:
        document["id"] = message.id
    if len(message.parameters):
        document["parameters"] = _parameters(message.parameters)
    if len(message.outputs):
        document["outputs"] = [
            {"name": output.name, "parameters": _parameters(output.parameters)}
            for output in message.outputs
        ]
    return document


def _tensor(tensor: Any, raw: bytes | None) -> dict[str, Any]:
    datatype = tensor.datatype
    data: list[Any] | UnfitError
    try:
        data = _typed(datatype, tensor.contents) if raw is None else _raw(datatype, tensor, raw)
    except UnfitError as unfit:
        data = unfit
    read: dict[str, Any] = {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "datatype": datatype,
        "data": data,
    }
    if len(tensor.parameters):
        read["parameters"] = _parameters(tensor.parameters)
    return read


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    read = {}
    for name, parameter in parameters.items():
        choice = parameter.WhichOneof("parameter_choice")
        read[name] = None if choice is None else getattr(parameter, choice)
    return read


def _typed(datatype: str, contents: Any) -> list[Any]:
    field = CONTENTS.get(datatype)
    if field is None:
        raise UnfitError(Code.WRONG_DATATYPE, "typed contents have no such datatype")
    fields = contents.ListFields()
    if not fields:
        return []
    if len(fields) > 1 or fields[0][0].name != field:
        raise UnfitError(Code.WRONG_DATATYPE, f"the values of {datatype} belong in `{field}`")
    values = list(fields[0][1])
    if datatype == "BYTES":
        return _texts(values)
    return _nan_to_null(values) if datatype in {"FP32", "FP64"} else values


def _raw(datatype: str, tensor: Any, raw: bytes) -> list[Any]:
    if tensor.HasField("contents") and tensor.contents.ListFields():
        raise UnfitError(Code.WRONG_STRUCTURE, "this input has both typed and raw contents")
    if datatype == "BYTES":
        return _texts(_split(raw))
    layout = RAW.get(datatype)
    if layout is None:
        raise UnfitError(Code.WRONG_DATATYPE, "raw contents have no such datatype")
    dtype = np.dtype(layout)
    if len(raw) % dtype.itemsize:
        raise UnfitError(Code.WRONG_SHAPE, f"raw contents are not whole values of {datatype}")
    array = np.frombuffer(raw, dtype)
    if datatype == "BOOL":
        if (array > 1).any():
            raise UnfitError(Code.OUT_OF_RANGE, "a raw boolean is 0 or 1")
        array = array.astype(np.bool_)
    values = array.tolist()
    return _nan_to_null(values) if dtype.kind == "f" else values


def _split(raw: bytes) -> list[bytes]:
    """Elements that each have their length in front, four bytes little-endian."""
    elements = []
    position, size = 0, len(raw)
    while position < size:
        start = position + LENGTH.size
        if start > size:
            raise UnfitError(Code.WRONG_SHAPE, "raw contents end within a length")
        position = start + LENGTH.unpack_from(raw, start - LENGTH.size)[0]
        if position > size:
            raise UnfitError(Code.WRONG_SHAPE, "raw contents end within an element")
        elements.append(raw[start:position])
    return elements


def _texts(elements: list[bytes]) -> list[str]:
    try:
        return [element.decode() for element in elements]
    except UnicodeDecodeError:
        return each(elements, _text)  # says which one


def _text(element: bytes) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError:
        raise UnfitError(Code.INVALID_UTF8, "not UTF-8") from None


def _nan_to_null(values: list[Any]) -> list[Any]:
    """NaN is how a floating-point tensor says that a value is missing."""
    if math.isnan(sum(values)):
        return [None if math.isnan(value) else value for value in values]
    return values
