"""V2 requests as gRPC messages, and what can be wrong with a message alone."""

# ruff: noqa: E501 - a case is one line, however long

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tritonclient.grpc.service_pb2 import ModelInferRequest

from registry.contract import FLOAT32_MAX
from tests.serving.cases import Document

FIELDS = {
    "BOOL": ("bool_contents", bool), "INT8": ("int_contents", int), "INT16": ("int_contents", int),
    "INT32": ("int_contents", int), "INT64": ("int64_contents", int), "UINT8": ("uint_contents", int),
    "UINT16": ("uint_contents", int), "UINT32": ("uint_contents", int), "UINT64": ("uint64_contents", int),
    "FP32": ("fp32_contents", float), "FP64": ("fp64_contents", float), "BYTES": ("bytes_contents", str),
}  # fmt: skip
DTYPES = {
    "BOOL": "?", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "u1",
    "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


class Unsayable(Exception):  # noqa: N818 - not an error: JSON can say more than a message
    """The document has no gRPC message."""


def message(document: Document, raw: bool = False) -> ModelInferRequest:
    """A V2 document as a message with typed or raw contents; raises Unsayable."""
    request = ModelInferRequest()
    try:
        _say(document.keys() <= {"id", "inputs", "outputs", "parameters"})
        _say(type(document["inputs"]) is list)
        _say(document.get("outputs") is None or type(document["outputs"]) is list)
        request.id = document.get("id") or ""
        _set_parameters(request, document.get("parameters"))
        for output in document.get("outputs") or []:
            _say(output.keys() <= {"name", "parameters"})
            _set_parameters(request.outputs.add(name=output["name"]), output.get("parameters"))
        for tensor in document["inputs"]:
            _add_input(request, tensor, raw)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        raise Unsayable from None
    return request


def _add_input(request: ModelInferRequest, tensor: Document, raw: bool) -> None:
    _say(tensor.keys() <= {"name", "shape", "datatype", "data", "parameters"})
    _say(type(tensor["name"]) is str and all(type(size) is int for size in tensor["shape"]))
    datatype, data = tensor["datatype"], tensor["data"]
    field, kind = FIELDS[datatype]
    _say(type(data) is list and all(type(value) is kind for value in data))
    _say(datatype != "FP32" or not any(abs(value) > FLOAT32_MAX for value in data))
    added = request.inputs.add(name=tensor["name"], datatype=datatype, shape=tensor["shape"])
    _set_parameters(added, tensor.get("parameters"))
    if raw:
        request.raw_input_contents.append(pack(datatype, data))
    else:
        texts = [value.encode() for value in data] if kind is str else data
        getattr(added.contents, field).extend(texts)


def pack(datatype: str, data: Sequence[Any]) -> bytes:
    """Raw contents, as the protocol lays them out."""
    if datatype == "BYTES":
        texts = [value.encode() for value in data]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    array = np.array(data, dtype=object).astype(DTYPES[datatype])
    _say(array.dtype.kind == "f" or array.tolist() == data)
    return array.tobytes()


def _say(possible: bool) -> None:
    if not possible:
        raise Unsayable


def _set_parameters(message: Any, parameters: Document | None) -> None:
    _say(parameters is None or type(parameters) is dict)
    for name, value in (parameters or {}).items():
        field = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
        setattr(message.parameters[name], field[type(value)], value)


@dataclass(frozen=True)
class MessageCase:
    """A valid message, with typed or raw contents, that is changed."""

    id: str
    change: Callable[[ModelInferRequest, Callable[[str], int]], Any]
    """Gets the message, and a function from a role to the position of its input."""
    code: str | None = None
    input: str | None = None
    raw: bool = False
    means: tuple[str, Sequence[Any]] | None = None


def contents(
    role: str, datatype: str, field: str, values: Sequence[Any]
) -> Callable[[ModelInferRequest, Callable[[str], int]], None]:
    """The typed contents of one input replaced."""

    def change(request: ModelInferRequest, position: Callable[[str], int]) -> None:
        tensor = request.inputs[position(role)]
        tensor.ClearField("contents")
        tensor.datatype = datatype
        getattr(tensor.contents, field).extend(values)

    return change


def raw(
    role: str, datatype: str, data: bytes
) -> Callable[[ModelInferRequest, Callable[[str], int]], None]:
    """The raw contents of one input replaced."""

    def change(request: ModelInferRequest, position: Callable[[str], int]) -> None:
        request.inputs[position(role)].datatype = datatype
        request.raw_input_contents[position(role)] = data

    return change


def both(request: ModelInferRequest, position: Callable[[str], int]) -> None:
    request.inputs[position("long")].contents.int64_contents.extend([7, 8])


NAN = float("nan")
INFINITY = float("inf")

MESSAGES = [
    MessageCase("typed", lambda request, position: None),
    MessageCase("raw", lambda request, position: None, raw=True),
    MessageCase("nan-is-null", contents("double", "FP64", "fp64_contents", [NAN, 2.5]), means=("double", [None, 2.5])),
    MessageCase("fp32-nan-is-null", contents("double", "FP32", "fp32_contents", [NAN, 2.5]), means=("double", [None, 2.5])),
    MessageCase("raw-nan-is-null", raw("double", "FP64", np.array([NAN, 2.5]).tobytes()), raw=True, means=("double", [None, 2.5])),
    MessageCase("raw-fp16", raw("double", "FP16", np.array([NAN, 2.5], "<f2").tobytes()), raw=True, means=("double", [None, 2.5])),
    MessageCase("raw-fp32", raw("double", "FP32", np.array([0.5, 2.5], "<f4").tobytes()), raw=True, means=("double", [0.5, 2.5])),
    MessageCase("raw-uint8", raw("long", "UINT8", b"\x00\xff"), raw=True, means=("long", [0, 255])),
    MessageCase("raw-empty-texts", raw("text", "BYTES", bytes(8)), raw=True, means=("text", ["", ""])),
    MessageCase("nan-in-long", contents("long", "FP64", "fp64_contents", [NAN, 2.0]), "null", "long"),
    MessageCase("nan-in-required", contents("solid", "FP64", "fp64_contents", [NAN, 2.0]), "null", "solid"),
    MessageCase("infinite", contents("double", "FP64", "fp64_contents", [INFINITY, 2.5]), "not_finite", "double"),
    MessageCase("minus-infinite-fp32", contents("double", "FP32", "fp32_contents", [-INFINITY, 2.5]), "not_finite", "double"),
    MessageCase("raw-infinite", raw("double", "FP64", np.array([INFINITY, 2.5]).tobytes()), "not_finite", "double", raw=True),
    MessageCase("infinite-and-nan", contents("double", "FP64", "fp64_contents", [NAN, -INFINITY]), "not_finite", "double"),
    MessageCase("infinite-in-long", contents("long", "FP64", "fp64_contents", [INFINITY, 2.0]), "not_finite", "long"),
    MessageCase("beyond-int8", contents("long", "INT8", "int_contents", [300, 2]), "out_of_range", "long"),
    MessageCase("beyond-uint8", contents("long", "UINT8", "uint_contents", [300, 2]), "out_of_range", "long"),
    MessageCase("other-contents", contents("long", "INT64", "int_contents", [7, 8]), "wrong_datatype", "long"),
    MessageCase("double-contents-for-fp32", contents("double", "FP32", "fp64_contents", [7, 8]), "wrong_datatype", "double"),
    MessageCase("typed-fp16", contents("double", "FP16", "bytes_contents", [b"ab", b"cd"]), "wrong_datatype", "double"),
    MessageCase("two-contents", lambda request, position: request.inputs[position("long")].contents.uint_contents.extend([7, 8]), "wrong_datatype", "long"),
    MessageCase("no-contents", lambda request, position: request.inputs[position("long")].ClearField("contents"), "wrong_shape", "long"),
    MessageCase("no-shape", lambda request, position: request.inputs[position("long")].ClearField("shape"), "wrong_shape", "long"),
    MessageCase("no-datatype", lambda request, position: request.inputs[position("long")].ClearField("datatype"), "wrong_datatype", "long"),
    MessageCase("no-name", lambda request, position: request.inputs[position("long")].ClearField("name"), "unknown_input", ""),
    MessageCase("negative-shape", lambda request, position: request.inputs[position("long")].shape.__setitem__(0, -2), "wrong_shape", "long"),
    MessageCase("shape-beyond-data", lambda request, position: request.inputs[position("text")].shape.__setitem__(0, 2**62), "wrong_shape", "text"),
    MessageCase("not-utf-8", contents("text", "BYTES", "bytes_contents", [b"\xff", b"x"]), "invalid_utf8", "text"),
    MessageCase("raw-not-utf-8", raw("text", "BYTES", b"\x01\x00\x00\x00\xff" * 2), "invalid_utf8", "text", raw=True),
    MessageCase("raw-half-a-length", raw("text", "BYTES", b"\x01\x00"), "wrong_shape", "text", raw=True),
    MessageCase("raw-half-an-element", raw("text", "BYTES", b"\xff\xff\xff\xffx"), "wrong_shape", "text", raw=True),
    MessageCase("raw-one-element-more", raw("text", "BYTES", bytes(12)), "wrong_shape", "text", raw=True),
    MessageCase("raw-half-a-number", raw("long", "INT64", bytes(15)), "wrong_shape", "long", raw=True),
    MessageCase("raw-one-number-less", raw("long", "INT64", bytes(8)), "wrong_shape", "long", raw=True),
    MessageCase("raw-empty", raw("long", "INT64", b""), "wrong_shape", "long", raw=True),
    MessageCase("raw-no-such-datatype", raw("long", "INT128", bytes(32)), "wrong_datatype", "long", raw=True),
    MessageCase("raw-boolean-2", raw("boolean", "BOOL", b"\x02\x00"), "out_of_range", "boolean", raw=True),
    MessageCase("raw-for-some", lambda request, position: request.raw_input_contents.pop(), "wrong_structure", raw=True),
    MessageCase("raw-too-many", lambda request, position: request.raw_input_contents.append(b""), "wrong_structure", raw=True),
    MessageCase("raw-and-typed", both, "wrong_structure", "long", raw=True),
    MessageCase("shared-memory", lambda request, position: _set_parameters(request.inputs[position("long")], {"shared_memory_region": "r"}), "binary_tensor", "long"),
    MessageCase("no-inputs", lambda request, position: request.ClearField("inputs"), "missing_input", "long"),
    MessageCase("id-too-long", lambda request, position: setattr(request, "id", "i" * 129), "wrong_id"),
    MessageCase("timeout-text", lambda request, position: _set_parameters(request, {"timeout": "1s"}), "wrong_parameter"),
]  # fmt: skip
