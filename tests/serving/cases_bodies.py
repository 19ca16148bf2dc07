"""Bodies that must be accepted or refused: what JSON can go wrong with, `/predict`, `/invocations`."""

# ruff: noqa: E501 - a case is one line, however long

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.serving.cases import Document, Names, drop


@dataclass(frozen=True)
class BodyCase:
    """Bytes that are no V2 request, made from the bytes of one."""

    id: str
    change: Callable[[bytes], bytes]
    code: str | None
    status: int = 400
    input: str | None = None


BODIES = [
    BodyCase("blanks-around", lambda body: b"\n  " + body + b"\r\n\t ", None),
    BodyCase("escaped-names", lambda body: body.replace(b'"name"', b'"\\u006eame"'), None),
    BodyCase("empty", lambda body: b"", "empty_body"),
    BodyCase("blank", lambda body: b" \n", "empty_body"),
    BodyCase("truncated", lambda body: body[:-1], "malformed_json"),
    BodyCase("half", lambda body: body[: len(body) // 2], "malformed_json"),
    BodyCase("two-documents", lambda body: body + body, "malformed_json"),
    BodyCase("trailing-comma", lambda body: body[:-1] + b",}", "malformed_json"),
    BodyCase("comment", lambda body: b"/* ask */" + body, "malformed_json"),
    BodyCase("single-quotes", lambda body: body.replace(b'"', b"'"), "malformed_json"),
    BodyCase("python-none", lambda body: b'{"inputs": None}', "malformed_json"),
    BodyCase("nan", lambda body: b'{"inputs": [NaN]}', "malformed_json"),
    BodyCase("infinity", lambda body: b'{"inputs": [-Infinity]}', "malformed_json"),
    BodyCase("hexadecimal", lambda body: b'{"inputs": [0x10]}', "malformed_json"),
    BodyCase("leading-zero", lambda body: b'{"inputs": [01]}', "malformed_json"),
    BodyCase("control-character", lambda body: body.replace(b'"name"', b'"na\x00me"', 1), "malformed_json"),
    BodyCase("byte-order-mark", lambda body: b"\xef\xbb\xbf" + body, "malformed_json"),
    BodyCase("not-json", lambda body: b"inputs=1&inputs=2", "malformed_json"),
    BodyCase("an-array", lambda body: b"[" + body + b"]", "wrong_structure"),
    BodyCase("a-number", lambda body: b"42", "wrong_structure"),
    BodyCase("a-string", lambda body: b'"inputs"', "wrong_structure"),
    BodyCase("null", lambda body: b"null", "wrong_structure"),
    BodyCase("utf-16", lambda body: body.decode().encode("utf-16"), "invalid_utf8"),
    BodyCase("latin-1", lambda body: body.replace(b'"name"', b'"nam\xe9"', 1), "invalid_utf8"),
    BodyCase("half-a-surrogate", lambda body: body[:-1] + b', "id": "\\ud800"}', "invalid_utf8"),
    BodyCase("overlong-utf-8", lambda body: body[:-1] + b', "id": "\xc0\xaf"}', "invalid_utf8"),
    BodyCase("key-twice", lambda body: body[:-1] + b', "inputs": []}', "duplicate_key"),
    BodyCase("key-twice-the-same", lambda body: body[:-1] + b", " + body[1:], "duplicate_key"),
    BodyCase("tensor-key-twice", lambda body: body.replace(b'"name"', b'"name": "x", "name"', 1), "duplicate_key"),
    BodyCase("escaped-key-twice", lambda body: body.replace(b'"name"', b'"\\u006eame": "x", "name"', 1), "duplicate_key"),
    BodyCase("parameter-twice", lambda body: body[:-1] + b', "parameters": {"a": 1, "a": 1}}', "duplicate_key"),
    BodyCase("deep-array", lambda body: b"[" * 5000 + b"]" * 5000, "too_deep"),
    BodyCase("deep-object", lambda body: b'{"a":' * 5000 + b"1" + b"}" * 5000, "too_deep"),
    BodyCase("deep-parameters", lambda body: body[:-1] + b', "parameters": {"a":' + b"[" * 5000 + b"]" * 5000 + b"}}", "too_deep"),
    BodyCase("never-ending-array", lambda body: b"[" * 100_000, "too_deep"),
    BodyCase("endless-integer", lambda body: b'{"inputs": ' + b"9" * 5000 + b"}", "out_of_range"),
    BodyCase("binary-tensors", lambda body: body[:-1] + b', "x": {"binary_data_size":8}}' + bytes(8), "binary_tensor"),
]  # fmt: skip


RowsChange = Callable[[list[Document], Names], Any]
"""Gives a JSON document, or the body itself."""


@dataclass(frozen=True)
class WayCase:
    """A body for `/predict` or `/invocations`, made from two valid rows."""

    id: str
    path: str
    change: RowsChange
    code: str | None = None
    input: str | None = None
    status: int = 400
    content_type: str = "application/json"
    means: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def split(rows: list[Document], **fields: Any) -> Document:
    columns = list(rows[0])
    frame = {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}
    return {"dataframe_split": {**frame, **fields}}


def columns(rows: list[Document]) -> Document:
    return {name: [row[name] for row in rows] for name in rows[0]}


def table(rows: list[Document], **options: Any) -> bytes:
    """The rows as CSV; null is an empty field, booleans are written as pandas does."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def change(rows: list[Document], name: str, value: Any) -> list[Document]:
    """The rows with another value in the second one."""
    return [rows[0], {**rows[1], name: value}]


def predict(
    id_: str,
    make: Callable[[list[Document], Names], Any],
    code: str | None = None,
    input_: str | None = None,
    **rest: Any,
) -> WayCase:
    return WayCase(f"predict-{id_}", "/predict", make, code, input_, **rest)


def invoke(
    id_: str,
    make: Callable[[list[Document], Names], Any],
    code: str | None = None,
    input_: str | None = None,
    **rest: Any,
) -> WayCase:
    return WayCase(f"invocations-{id_}", "/invocations", make, code, input_, **rest)


def csv_(
    id_: str,
    make: Callable[[list[Document], Names], Any],
    code: str | None = None,
    input_: str | None = None,
    **rest: Any,
) -> WayCase:
    return WayCase(
        f"csv-{id_}", "/invocations", make, code, input_, content_type="text/csv", **rest
    )


WAYS = [
    predict("rows", lambda rows, names: {"rows": rows}),
    predict("nullable-left-out", lambda rows, names: {"rows": [drop(row, names["optional"]) for row in rows]}, means={"optional": [None, None]}),
    predict("null", lambda rows, names: {"rows": change(rows, names["optional"], None)}, means={"optional": [..., None]}),
    predict("whole-float", lambda rows, names: {"rows": change(rows, names["long"], 7.0)}, means={"long": [..., 7]}),
    predict("no-rows", lambda rows, names: {}, "wrong_structure", "rows"),
    predict("rows-null", lambda rows, names: {"rows": None}, "wrong_structure", "rows"),
    predict("rows-an-object", lambda rows, names: {"rows": rows[0]}, "wrong_structure", "rows"),
    predict("rows-empty", lambda rows, names: {"rows": []}, "wrong_shape", "rows"),
    predict("row-a-list", lambda rows, names: {"rows": [list(rows[0].values())]}, "wrong_structure", "rows"),
    predict("row-null", lambda rows, names: {"rows": [rows[0], None]}, "wrong_structure", "rows"),
    predict("row-empty", lambda rows, names: {"rows": [{}]}, "missing_input"),
    predict("unknown-field", lambda rows, names: {"rows": rows, "id": "7"}, "unknown_field"),
    predict("row-itself", lambda rows, names: rows[0], "wrong_structure", "rows"),
    predict("v2", lambda rows, names: {"inputs": []}, "wrong_structure", "rows"),
    predict("unknown-column", lambda rows, names: {"rows": change(rows, "colour", "red")}, "unknown_input", "colour"),
    predict("missing-column", lambda rows, names: {"rows": [rows[0], drop(rows[1], names["long"])]}, "missing_input", "long"),
    predict("null-value", lambda rows, names: {"rows": change(rows, names["long"], None)}, "null", "long"),
    predict("text-for-number", lambda rows, names: {"rows": change(rows, names["long"], "7")}, "wrong_datatype", "long"),
    predict("boolean-for-number", lambda rows, names: {"rows": change(rows, names["long"], True)}, "wrong_datatype", "long"),
    predict("number-for-text", lambda rows, names: {"rows": change(rows, names["text"], 7)}, "wrong_datatype", "text"),
    predict("fraction", lambda rows, names: {"rows": change(rows, names["long"], 7.5)}, "lossy_number", "long"),
    predict("infinite-number", lambda rows, names: b'{"rows": [{"%b": 1e400}]}' % names["long"].encode(), "not_finite", "long"),
    predict("list-value", lambda rows, names: {"rows": change(rows, names["long"], [7])}, "wrong_shape", "long"),
    predict("key-twice", lambda rows, names: b'{"rows": [{"a": 1, "a": 1}]}', "duplicate_key"),
    predict("too-many", lambda rows, names: {"rows": [{}] * 10_001}, "too_many_rows", status=413),
    invoke("split", lambda rows, names: split(rows)),
    invoke("split-with-index", lambda rows, names: split(rows, index=[7, 8])),
    invoke("split-any-order", lambda rows, names: split([dict(reversed(row.items())) for row in rows])),
    invoke("split-nullable-left-out", lambda rows, names: split([drop(row, names["optional"]) for row in rows]), means={"optional": [None, None]}),
    invoke("records", lambda rows, names: {"dataframe_records": rows}),
    invoke("instances", lambda rows, names: {"instances": rows}),
    invoke("inputs-columns", lambda rows, names: {"inputs": columns(rows)}),
    invoke("inputs-rows", lambda rows, names: {"inputs": rows}),
    invoke("no-params", lambda rows, names: {"dataframe_records": rows, "params": {}}),
    invoke("utf-8", lambda rows, names: split(rows), content_type="application/json; charset=utf-8"),
    invoke("nothing", lambda rows, names: {}, "wrong_structure"),
    invoke("two-forms", lambda rows, names: {**split(rows), "instances": rows}, "wrong_structure"),
    invoke("old-form", lambda rows, names: split(rows)["dataframe_split"], "wrong_structure"),
    invoke("a-list", lambda rows, names: rows, "wrong_structure"),
    invoke("not-json", lambda rows, names: b"dataframe_split", "malformed_json"),
    invoke("unknown-field", lambda rows, names: {**split(rows), "signature_name": "x"}, "unknown_field"),
    invoke("params", lambda rows, names: {**split(rows), "params": {"top": 3}}, "wrong_parameter"),
    invoke("params-false", lambda rows, names: {**split(rows), "params": False}, "wrong_parameter"),
    invoke("params-empty-list", lambda rows, names: {**split(rows), "params": []}, "wrong_parameter"),
    invoke("split-a-list", lambda rows, names: {"dataframe_split": rows}, "wrong_structure", "dataframe_split"),
    invoke("split-null", lambda rows, names: {"dataframe_split": None}, "wrong_structure", "dataframe_split"),
    invoke("split-without-columns", lambda rows, names: {"dataframe_split": {"data": [[1]]}}, "wrong_structure", "dataframe_split"),
    invoke("split-unknown-field", lambda rows, names: split(rows, dtypes=[]), "wrong_structure", "dataframe_split"),
    invoke("split-columns-numbers", lambda rows, names: split(rows, columns=list(range(len(rows[0])))), "wrong_structure", "dataframe_split"),
    invoke("split-data-flat", lambda rows, names: split(rows, data=[1, 2]), "wrong_structure", "dataframe_split"),
    invoke("split-ragged", lambda rows, names: split(rows, data=[[1], [1, 2]]), "wrong_shape"),
    invoke("split-no-rows", lambda rows, names: split(rows, data=[]), "wrong_shape"),
    invoke("split-short-index", lambda rows, names: split(rows, index=[7]), "wrong_shape", "dataframe_split"),
    invoke("split-column-twice", lambda rows, names: split(rows, columns=[names["long"]] * len(rows[0])), "duplicate_input", "long"),
    invoke("split-unknown-column", lambda rows, names: split([{**row, "colour": 1} for row in rows]), "unknown_input", "colour"),
    invoke("records-an-object", lambda rows, names: {"dataframe_records": columns(rows)}, "wrong_structure", "dataframe_records"),
    invoke("records-empty", lambda rows, names: {"dataframe_records": []}, "wrong_shape", "dataframe_records"),
    invoke("instances-lists", lambda rows, names: {"instances": [list(row.values()) for row in rows]}, "wrong_structure", "instances"),
    invoke("instances-bare", lambda rows, names: {"instances": [1, 2]}, "wrong_structure", "instances"),
    invoke("inputs-lists", lambda rows, names: {"inputs": [list(row.values()) for row in rows]}, "wrong_structure", "inputs"),
    invoke("inputs-unequal", lambda rows, names: {"inputs": {**columns(rows), names["long"]: [7, 8, 9]}}, "wrong_shape"),
    invoke("inputs-nested", lambda rows, names: {"inputs": {**columns(rows), names["long"]: [[7], [8]]}}, "wrong_shape", "long"),
    invoke("inputs-empty", lambda rows, names: {"inputs": {name: [] for name in rows[0]}}, "wrong_shape", "long"),
    invoke("wrong-type", lambda rows, names: split(change(rows, names["long"], "7")), "wrong_datatype", "long"),
    invoke("null-value", lambda rows, names: split(change(rows, names["text"], None)), "null", "text"),
    *(invoke(f"media-type-{number}", lambda rows, names: split(rows), "unsupported_media_type", status=415, content_type=content_type)
      for number, content_type in enumerate(["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "application/json; version=1", "application/vnd.apache.parquet", "application/jsonl"])),
    csv_("table", lambda rows, names: table(rows)),
    csv_("unix-lines", lambda rows, names: table(rows, lineterminator="\n")),
    csv_("all-quoted", lambda rows, names: table(rows, quoting=csv.QUOTE_ALL)),
    csv_("byte-order-mark", lambda rows, names: b"\xef\xbb\xbf" + table(rows)),
    csv_("nullable-left-out", lambda rows, names: table([drop(row, names["optional"]) for row in rows]), means={"optional": [None, None]}),
    csv_("null", lambda rows, names: table(change(rows, names["optional"], None)), means={"optional": [..., None]}),
    csv_("whole-float", lambda rows, names: table(change(rows, names["long"], "7.0")), means={"long": [..., 7]}),
    csv_("signs-and-exponents", lambda rows, names: table(change(rows, names["long"], "+7e1")), means={"long": [..., 70]}),
    csv_("comma-in-text", lambda rows, names: table(change(rows, names["text"], 'a, "b"\nc')), means={"text": [..., 'a, "b"\nc']}),
    csv_("text-nan", lambda rows, names: table(change(rows, names["text"], "NaN")), means={"text": [..., "NaN"]}),
    csv_("empty", lambda rows, names: b"", "empty_body"),
    csv_("header-only", lambda rows, names: table(rows).splitlines(True)[0], "wrong_shape"),
    csv_("ragged", lambda rows, names: table(rows) + b"1,2\r\n", "wrong_shape"),
    csv_("blank-line", lambda rows, names: table(rows) + b"\r\n", "wrong_shape"),
    csv_("with-index", lambda rows, names: table([{"": number, **row} for number, row in enumerate(rows)]), "unknown_input", ""),
    csv_("unknown-column", lambda rows, names: table([{**row, "colour": 1} for row in rows]), "unknown_input", "colour"),
    csv_("missing-column", lambda rows, names: table([drop(row, names["long"]) for row in rows]), "missing_input", "long"),
    csv_("column-twice", lambda rows, names: table(rows).replace(names["text"].encode(), names["long"].encode(), 1), "duplicate_input", "long"),
    csv_("no-header", lambda rows, names: b"".join(table(rows).splitlines(True)[1:]), "unknown_input", None),
    csv_("open-quote", lambda rows, names: table(rows) + b'"', "malformed_csv"),
    csv_("text-after-quote", lambda rows, names: b'"a"b,c\r\n1,2\r\n', "malformed_csv"),
    csv_("latin-1", lambda rows, names: table(rows) + b"\xe9", "invalid_utf8"),
    csv_("null-value", lambda rows, names: table(change(rows, names["long"], None)), "null", "long"),
    *(csv_(f"number-{word}", lambda rows, names, word=word: table(change(rows, names["long"], word)), code, "long")
      for word, code in [("seven", "wrong_datatype"), ("NaN", "wrong_datatype"), ("inf", "wrong_datatype"), ("1_000", "wrong_datatype"), (" 7", "wrong_datatype"), ("0x7", "wrong_datatype"), ("\u0667", "wrong_datatype"), ("7.5", "lossy_number"), ("1e999", "not_finite"), ("9" * 30, "out_of_range"), ("true", "wrong_datatype")]),
]  # fmt: skip
