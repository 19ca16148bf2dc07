"""What the server must accept and refuse, as tables: adding a case is one line.

Cases name columns by role, so that one table holds for every model. The roles that a model lacks are
left out (`ROLES`). Every case starts from a valid V2 request of two rows.
"""

# ruff: noqa: E501 - a case is one line, however long

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Names = Mapping[str, str]
Change = Callable[[Document, Names], Any]

ROLES: Mapping[str, Mapping[str, str]] = {
    "wide": {
        "long": "count", "double": "amount", "text": "city", "optional": "note", "solid": "price",
        "boolean": "flag", "maybe": "maybe", "integer": "small", "float": "ratio",
        "datetime": "when", "until": "until", "binary": "blob",
    },
    "income": {"long": "age", "text": "marital_status", "optional": "workclass"},
    "house-prices": {
        "long": "LotArea", "double": "LotFrontage", "text": "MSZoning", "optional": "MasVnrType",
    },
}  # fmt: skip


def drop(document: Document, name: str) -> Document:
    """The document without one of its keys."""
    return {key: value for key, value in document.items() if key != name}


@dataclass(frozen=True)
class TensorCase:
    """A V2 request in which the tensor of one role is changed."""

    id: str
    role: str
    fields: Mapping[str, Any]
    code: str | None = None
    means: Sequence[Any] | None = None
    """What an accepted column means, when that is not its `data`."""

    @property
    def values(self) -> Sequence[Any]:
        return self.fields["data"] if self.means is None else self.means


def accepted(id_: str, role: str, means: Sequence[Any] | None = None, **fields: Any) -> TensorCase:
    return TensorCase(id_, role, fields, None, means)


def refused(id_: str, role: str, code: str, **fields: Any) -> TensorCase:
    return TensorCase(id_, role, fields, code)


TENSORS = [
    # Widening that loses nothing
    accepted("int8-to-long", "long", datatype="INT8", data=[-128, 127]),
    accepted("uint8-to-long", "long", datatype="UINT8", data=[0, 255]),
    accepted("int16-to-long", "long", datatype="INT16", data=[-32768, 32767]),
    accepted("uint16-to-long", "long", datatype="UINT16", data=[0, 65535]),
    accepted("int32-to-long", "long", datatype="INT32", data=[-(2**31), 2**31 - 1]),
    accepted("uint32-to-long", "long", datatype="UINT32", data=[0, 2**32 - 1]),
    accepted("uint64-to-long", "long", datatype="UINT64", data=[0, 2**63 - 1]),
    accepted("largest-long", "long", data=[-(2**63), 2**63 - 1]),
    accepted("whole-float-to-long", "long", [7, -1], data=[7.0, -1.0]),
    accepted("fp64-to-long", "long", [7, -1], datatype="FP64", data=[7.0, -1.0]),
    accepted("fp32-to-long", "long", [7, -1], datatype="FP32", data=[7.0, -1.0]),
    accepted("largest-whole-float-to-long", "long", [2**53 - 1, 0], data=[2.0**53 - 1, 0.0]),
    accepted("integers-to-double", "double", [7.0, -1.0], data=[7, -1]),
    accepted("mixed-numbers-to-double", "double", [7.0, 0.5], data=[7, 0.5]),
    accepted("int64-to-double", "double", [2.0**53, -7.0], datatype="INT64", data=[2**53, -7]),
    accepted("uint64-to-double", "double", [2.0**63, 7.0], datatype="UINT64", data=[2**63, 7]),
    accepted("int8-to-double", "double", [7.0, -1.0], datatype="INT8", data=[7, -1]),
    accepted("fp32-to-double", "double", [float.fromhex("0x1.99999ap-4"), 2.5], datatype="FP32", data=[0.1, 2.5]),
    accepted("fp16-to-double", "double", [0.0999755859375, 2.5], datatype="FP16", data=[0.1, 2.5]),
    accepted("largest-double", "double", data=[3.4028234663852886e38, -3.4028234663852886e38]),
    accepted("exponents", "double", data=[1e-300, 2.5e10]),
    accepted("fp32-to-float", "float", [float.fromhex("0x1.99999ap-4"), 2.5], datatype="FP32", data=[0.1, 2.5]),
    accepted("exact-fp64-to-float", "float", datatype="FP64", data=[0.25, 2.5]),
    accepted("int16-to-float", "float", [3.0, -4.0], datatype="INT16", data=[3, -4]),
    accepted("int8-to-integer", "integer", datatype="INT8", data=[3, -4]),
    accepted("int64-to-integer", "integer", datatype="INT64", data=[3, -4]),
    accepted("whole-float-to-integer", "integer", [3, -4], datatype="FP64", data=[3.0, -4.0]),
    accepted("booleans", "boolean", data=[False, True]),
    # Null
    accepted("null-double", "double", data=[None, 2.5]),
    accepted("all-null-double", "double", data=[None, None]),
    accepted("null-string", "optional", data=[None, "x"]),
    accepted("null-boolean", "maybe", data=[None, True]),
    accepted("null-datetime", "until", data=[None, None]),
    accepted("null-binary", "binary", data=[None, None]),
    # Shapes
    accepted("shape-n", "long", shape=[2], data=[7, 8]),
    accepted("shape-n-1", "long", shape=[2, 1], data=[7, 8]),
    accepted("nested-to-shape", "long", [7, 8], shape=[2, 1], data=[[7], [8]]),
    accepted("nested-strings", "text", ["x", "y"], shape=[2, 1], data=[["x"], ["y"]]),
    # Content types as MLServer and its clients send them
    accepted("numpy", "long", data=[7, 8], parameters={"content_type": "np"}),
    accepted("string-codec", "text", data=["x", "y"], parameters={"content_type": "str"}),
    accepted("numpy-strings", "text", data=["x", "y"], parameters={"content_type": "np"}),
    accepted("pandas-json", "optional", ["x", None], data=['"x"', "null"], parameters={"content_type": "pd_json"}),
    accepted("pandas-json-numbers", "double", [1.5, None], datatype="BYTES", data=["1.5", "null"], parameters={"content_type": "pd_json"}),
    accepted("pandas-json-booleans", "maybe", [True, None], datatype="BYTES", data=["true", "null"], parameters={"content_type": "pd_json"}),
    accepted("datetime-codec", "datetime", ["2026-01-31T12:00:00", "2026-02-01T00:00:00"], data=["2026-01-31T12:00:00", "2026-02-01"], parameters={"content_type": "datetime"}),
    accepted("base64-codec", "binary", [b"\x00\xff", b""], data=["AP8=", ""], parameters={"content_type": "base64"}),
    accepted("no-parameters", "long", data=[7, 8], parameters=None),
    accepted("other-parameters", "long", data=[7, 8], parameters={"team": "blue"}),
    # Text
    accepted("empty-strings", "text", data=["", " "]),
    accepted("any-unicode", "text", data=["Łódź 🏠", "\x00\n\u2028"]),
    accepted("unseen-category", "text", data=["never seen", "nor this"]),
    accepted("text-with-colons", "text", data=['a": "b', "::"]),
    # Dates
    accepted("dates", "datetime", ["2026-01-31T00:00:00", "0001-01-01T00:00:00"], data=["2026-01-31", "0001-01-01"]),
    accepted("datetime-zulu", "datetime", ["2026-01-31T12:00:00", "2026-01-31T12:00:00.000001"], data=["2026-01-31T12:00:00Z", "2026-01-31 12:00:00.000001"]),
    accepted("datetime-offset", "datetime", ["2026-01-31T22:30:00", "2026-01-31T12:00:00"], data=["2026-02-01T00:00+01:30", "2026-01-31T12:00:00.000000000"]),
    # Wrong datatypes
    refused("string-in-long", "long", "wrong_datatype", data=["7", 8]),
    refused("boolean-in-long", "long", "wrong_datatype", data=[True, 8]),
    refused("object-in-long", "long", "wrong_datatype", data=[{}, 8]),
    refused("string-in-double", "double", "wrong_datatype", data=[1.5, "2.5"]),
    refused("boolean-in-double", "double", "wrong_datatype", data=[1.5, False]),
    refused("number-in-string", "text", "wrong_datatype", data=["x", 7]),
    refused("boolean-in-string", "text", "wrong_datatype", data=["x", True]),
    refused("object-in-string", "text", "wrong_datatype", data=["x", {"a": 1}]),
    refused("number-in-boolean", "boolean", "wrong_datatype", data=[1, 0]),
    refused("string-in-boolean", "boolean", "wrong_datatype", data=["true", "false"]),
    refused("number-in-datetime", "datetime", "wrong_datatype", data=[0, 1]),
    refused("bytes-for-long", "long", "wrong_datatype", datatype="BYTES", data=["7", "8"]),
    refused("bool-for-long", "long", "wrong_datatype", datatype="BOOL", data=[True, False]),
    refused("bool-for-double", "double", "wrong_datatype", datatype="BOOL", data=[True, False]),
    refused("bytes-for-double", "double", "wrong_datatype", datatype="BYTES", data=["7", "8"]),
    refused("int64-for-string", "text", "wrong_datatype", datatype="INT64", data=[7, 8]),
    refused("int8-for-boolean", "boolean", "wrong_datatype", datatype="INT8", data=[1, 0]),
    refused("no-such-datatype", "long", "wrong_datatype", datatype="INT128", data=[7, 8]),
    refused("lower-case-datatype", "long", "wrong_datatype", datatype="int64", data=[7, 8]),
    refused("bf16", "double", "wrong_datatype", datatype="BF16", data=[1.5, 2.5]),
    refused("datatype-not-text", "long", "wrong_datatype", datatype=["INT64"], data=[7, 8]),
    refused("datatype-null", "long", "wrong_datatype", datatype=None, data=[7, 8]),
    # Null where there is none
    refused("null-in-long", "long", "null", data=[7, None]),
    refused("null-in-string", "text", "null", data=[None, "x"]),
    refused("null-in-required-double", "solid", "null", data=[None, 2.5]),
    refused("null-in-boolean", "boolean", "null", data=[None, True]),
    refused("null-in-datetime", "datetime", "null", data=[None, "2026-01-31"]),
    # Numbers that would change
    refused("fraction-in-long", "long", "lossy_number", data=[7, 1.5]),
    refused("fraction-in-long-fp64", "long", "lossy_number", datatype="FP64", data=[7.0, 1.5]),
    refused("large-float-in-long", "long", "lossy_number", data=[7, 9007199254740993.0]),
    refused("long-beyond-double", "double", "lossy_number", data=[1.5, 2**53 + 1]),
    refused("int64-beyond-double", "double", "lossy_number", datatype="INT64", data=[2**53 + 1, 7]),
    refused("integer-beyond-fp32", "double", "lossy_number", datatype="FP32", data=[2**24 + 1, 7]),
    refused("inexact-fp64-for-float", "float", "lossy_number", datatype="FP64", data=[0.1, 2.5]),
    refused("inexact-int-for-float", "float", "lossy_number", datatype="INT32", data=[2**24 + 1, 7]),
    # Numbers out of range
    refused("beyond-int8", "long", "out_of_range", datatype="INT8", data=[7, 300]),
    refused("beyond-uint8", "long", "out_of_range", datatype="UINT8", data=[7, -1]),
    refused("beyond-int16", "double", "out_of_range", datatype="INT16", data=[7, 40000]),
    refused("beyond-uint64", "long", "out_of_range", datatype="UINT64", data=[7, -1]),
    refused("uint64-beyond-long", "long", "out_of_range", datatype="UINT64", data=[7, 2**63]),
    refused("int64-beyond-integer", "integer", "out_of_range", datatype="INT64", data=[7, 2**31]),
    refused("beyond-fp16", "double", "out_of_range", datatype="FP16", data=[1.5, 70000.0]),
    refused("beyond-fp32", "double", "out_of_range", datatype="FP32", data=[1.5, 1e39]),
    refused("beyond-the-limit", "double", "out_of_range", data=[1.5, 1e39]),
    refused("beyond-float", "float", "out_of_range", data=[1.5, 1e39]),
    # Shapes and data that disagree
    refused("no-rows", "long", "wrong_shape", shape=[0], data=[]),
    refused("empty-shape", "long", "wrong_shape", shape=[], data=[7, 8]),
    refused("negative-shape", "long", "wrong_shape", shape=[-1], data=[7, 8]),
    refused("two-columns", "long", "wrong_shape", shape=[2, 2], data=[7, 8, 9, 10]),
    refused("row-shape", "long", "wrong_shape", shape=[1, 2], data=[7, 8]),
    refused("three-dimensions", "long", "wrong_shape", shape=[2, 1, 1], data=[7, 8]),
    refused("boolean-shape", "long", "wrong_shape", shape=[2, True], data=[7, 8]),
    refused("float-shape", "long", "wrong_shape", shape=[2.0], data=[7, 8]),
    refused("text-shape", "long", "wrong_shape", shape=["2"], data=[7, 8]),
    refused("shape-not-a-list", "long", "wrong_shape", shape=2, data=[7, 8]),
    refused("shape-null", "long", "wrong_shape", shape=None, data=[7, 8]),
    refused("overflowing-shape", "long", "wrong_shape", shape=[2**70], data=[7, 8]),
    refused("overflowing-product", "long", "wrong_shape", shape=[2**33, 2**33], data=[7, 8]),
    refused("too-little-data", "long", "wrong_shape", data=[7]),
    refused("too-much-data", "long", "wrong_shape", data=[7, 8, 9]),
    refused("empty-data", "long", "wrong_shape", data=[]),
    refused("ragged-data", "long", "wrong_shape", data=[[7], [8, 9]]),
    refused("half-nested-data", "long", "wrong_shape", data=[7, [8]]),
    refused("nested-beyond-shape", "long", "wrong_shape", shape=[2], data=[[7], [8]]),
    refused("nested-twice", "long", "wrong_shape", data=[[[7]], [[8]]]),
    refused("one-row-list", "text", "wrong_shape", data=[["x", "y"]]),
    refused("data-not-a-list", "long", "wrong_structure", data=7),
    refused("data-text", "text", "wrong_structure", data="xy"),
    refused("data-null", "long", "wrong_structure", data=None),
    # Content types and other extensions
    refused("unknown-content-type", "long", "unknown_content_type", data=[7, 8], parameters={"content_type": "hf"}),
    refused("content-type-not-text", "long", "unknown_content_type", data=[7, 8], parameters={"content_type": 7}),
    refused("base64-for-text", "text", "unknown_content_type", data=["eA==", "eQ=="], parameters={"content_type": "base64"}),
    refused("text-for-numbers", "long", "unknown_content_type", data=[7, 8], parameters={"content_type": "str"}),
    refused("pandas-json-broken", "optional", "malformed_json", data=['"x"', "nul"], parameters={"content_type": "pd_json"}),
    refused("parameters-not-an-object", "long", "wrong_structure", data=[7, 8], parameters=[]),
    refused("shared-memory", "long", "binary_tensor", parameters={"shared_memory_region": "r", "shared_memory_byte_size": 16}),
    refused("unknown-tensor-field", "long", "unknown_field", data=[7, 8], dtype="INT64"),
    refused("pandas-json-not-bytes", "long", "wrong_datatype", data=["7", "8"], parameters={"content_type": "pd_json"}),
    refused("pandas-json-not-text", "long", "wrong_datatype", datatype="BYTES", data=[7, 8], parameters={"content_type": "pd_json"}),
    # Dates and bytes
    refused("no-such-date", "datetime", "invalid_datetime", data=["2026-02-30", "2026-01-31"]),
    refused("not-a-date", "datetime", "invalid_datetime", data=["tomorrow", "2026-01-31"]),
    refused("empty-date", "datetime", "invalid_datetime", data=["", "2026-01-31"]),
    refused("date-and-more", "datetime", "invalid_datetime", data=["2026-01-31T12:00:00Zulu", "2026-01-31"]),
    refused("year-zero", "datetime", "invalid_datetime", data=["0000-01-01", "2026-01-31"]),
    refused("date-before-time", "datetime", "invalid_datetime", data=["0001-01-01T00:00+14:00", "2026-01-31"]),
    refused("nanoseconds", "datetime", "invalid_datetime", data=["2026-01-31T12:00:00.123456789", "2026-01-31"]),
    refused("leap-second", "datetime", "invalid_datetime", data=["2026-01-31T12:00:60", "2026-01-31"]),
    refused("bad-base64", "binary", "invalid_base64", data=["AP8", "AP8="]),
    refused("loose-base64", "binary", "invalid_base64", data=["AP9=", "AP8="]),
    refused("base64-with-blanks", "binary", "invalid_base64", data=["AP8=\n", "AP8="]),
    refused("not-base64", "binary", "invalid_base64", data=["ÿ===", "AP8="]),
]  # fmt: skip
