"""Whole V2 requests that must be accepted or refused."""

# ruff: noqa: E501 - a case is one line, however long

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.serving.cases import Change, Document, Names, drop


@dataclass(frozen=True)
class DocumentCase:
    """A V2 request that is changed as a whole."""

    id: str
    change: Change
    code: str | None = None
    input: str | None = None
    """A role, or the name itself."""
    status: int = 400
    means: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """What columns mean, by role, when that is not what they meant before."""


def texts(change: Callable[[list[str]], list[Any]], **fields: Any) -> Change:
    """Rows as documents in one tensor, their texts changed."""

    def changed(document: Document, names: Names) -> Document:
        data = change([json.dumps(row) for row in rows_of(document)])
        tensor = {"name": "rows", "datatype": "BYTES", "shape": [len(data)], "data": data}
        return {"inputs": [{**tensor, **fields}]}

    return changed


def records(change: Callable[[list[Document], Names], Any]) -> Change:
    """Rows as documents in one tensor, the rows changed."""

    def changed(document: Document, names: Names) -> Document:
        rows = change(rows_of(document), names)
        data = [json.dumps(row) for row in rows]
        return {
            "inputs": [{"name": "rows", "datatype": "BYTES", "shape": [len(data)], "data": data}]
        }

    return changed


def tensors(change: Callable[[list[Document], Names], Any]) -> Change:
    """The list of tensors changed."""
    return lambda document, names: {**document, "inputs": change(document["inputs"], names)}


def top(**fields: Any) -> Change:
    """Fields of the request set."""
    return lambda document, names: {**document, **fields}


def without(role: str) -> Change:
    return tensors(lambda inputs, names: [t for t in inputs if t["name"] != names[role]])


def renamed(role: str, name: Any) -> Change:
    return tensors(
        lambda inputs, names: [
            {**t, "name": name} if t["name"] == names[role] else t for t in inputs
        ]
    )


def rows_of(document: Document) -> list[Document]:
    """The rows of a V2 request in its plain form."""
    inputs = document["inputs"]
    return [
        {tensor["name"]: tensor["data"][row] for tensor in inputs}
        for row in range(len(inputs[0]["data"]))
    ]


DOCUMENTS = [
    DocumentCase("as-it-is", lambda document, names: document),
    DocumentCase("any-order", tensors(lambda inputs, names: inputs[::-1])),
    DocumentCase("nullable-left-out", without("optional"), means={"optional": [None, None]}),
    DocumentCase("optional-fields-null", top(id=None, parameters=None, outputs=None)),
    DocumentCase("id", top(id="order 66 ✓")),
    DocumentCase("longest-id", top(id="i" * 128)),
    DocumentCase("no-outputs-chosen", top(outputs=[])),
    DocumentCase("prediction-chosen", top(outputs=[{"name": "prediction"}])),
    DocumentCase("triton-output", top(outputs=[{"name": "prediction", "parameters": {"binary_data": True}}])),
    DocumentCase("triton-parameters", top(parameters={"binary_data_output": True, "priority": 1})),
    DocumentCase("timeout", top(parameters={"timeout": 5_000_000})),
    DocumentCase("no-timeout", top(parameters={"timeout": 0})),
    *(DocumentCase(f"request-{codec}", top(parameters={"content_type": codec})) for codec in ("pd", "np", "dict", "str")),
    DocumentCase("row-documents", texts(list)),
    DocumentCase("row-documents-n-1", texts(list, shape=[2, 1])),
    DocumentCase("row-documents-str", texts(list, parameters={"content_type": "str"})),
    DocumentCase("row-documents-nested", texts(lambda texts: [[text] for text in texts], shape=[2, 1])),
    DocumentCase("row-without-a-nullable", records(lambda rows, names: [rows[0], drop(rows[1], names["optional"])]), means={"optional": [..., None]}),
    # Inputs
    DocumentCase("missing", without("long"), "missing_input", "long"),
    DocumentCase("unknown", tensors(lambda inputs, names: [*inputs, {**inputs[0], "name": "colour"}]), "unknown_input", "colour"),
    DocumentCase("unknown-only", tensors(lambda inputs, names: [{**inputs[0], "name": "colour"}]), "unknown_input", "colour"),
    DocumentCase("misspelt", renamed("long", "lonng"), "unknown_input", "lonng"),
    DocumentCase("other-case", tensors(lambda inputs, names: [{**inputs[0], "name": inputs[0]["name"].swapcase()}, *inputs[1:]]), "missing_input", None),
    DocumentCase("duplicate", tensors(lambda inputs, names: [*inputs, inputs[0]]), "duplicate_input", None),
    DocumentCase("nameless", tensors(lambda inputs, names: [*inputs, drop(inputs[0], "name")]), "wrong_structure"),
    DocumentCase("name-a-number", renamed("long", 7), "wrong_structure"),
    DocumentCase("name-a-list", renamed("long", ["long"]), "wrong_structure"),
    DocumentCase("name-null", renamed("long", None), "wrong_structure"),
    DocumentCase("name-empty", renamed("long", ""), "unknown_input", ""),
    DocumentCase("tensor-a-list", tensors(lambda inputs, names: [*inputs, []]), "wrong_structure"),
    DocumentCase("tensor-null", tensors(lambda inputs, names: [*inputs, None]), "wrong_structure"),
    DocumentCase("tensor-text", tensors(lambda inputs, names: [*inputs, "long"]), "wrong_structure"),
    *(DocumentCase(f"tensor-without-{key}", tensors(lambda inputs, names, key=key: [drop(inputs[0], key), *inputs[1:]]), "wrong_structure") for key in ("shape", "datatype", "data")),
    DocumentCase("other-rows", tensors(lambda inputs, names: [{**inputs[0], "shape": [1], "data": inputs[0]["data"][:1]}, *inputs[1:]]), "wrong_shape", None),
    DocumentCase("no-inputs", top(inputs=[]), "missing_input", None),
    DocumentCase("inputs-null", top(inputs=None), "wrong_structure"),
    DocumentCase("inputs-an-object", top(inputs={}), "wrong_structure"),
    DocumentCase("inputs-left-out", lambda document, names: {}, "wrong_structure"),
    DocumentCase("too-many-rows", tensors(lambda inputs, names: [{**inputs[0], "shape": [10**7]}]), "too_many_rows", status=413),
    DocumentCase("far-too-many-inputs", tensors(lambda inputs, names: inputs * 200), "wrong_structure"),
    DocumentCase("far-too-many-outputs", top(outputs=[{"name": "prediction"}] * 1000), "wrong_structure"),
    DocumentCase("binary-tensor", tensors(lambda inputs, names: [{**drop(inputs[0], "data"), "parameters": {"binary_data_size": 16}}, *inputs[1:]]), "binary_tensor", None),
    # Rows as documents
    DocumentCase("row-not-json", texts(lambda texts: [texts[0], texts[1][:-1]]), "malformed_json", "rows"),
    DocumentCase("row-empty", texts(lambda texts: [texts[0], ""]), "empty_body", "rows"),
    DocumentCase("row-a-list", texts(lambda texts: [texts[0], "[]"]), "wrong_structure", "rows"),
    DocumentCase("row-null", texts(lambda texts: [texts[0], None]), "wrong_datatype", "rows"),
    DocumentCase("row-an-object", texts(lambda texts: [texts[0], {}]), "wrong_datatype", "rows"),
    DocumentCase("row-twice-a-key", texts(lambda texts: [texts[0], texts[1][:-1] + ", " + texts[1][1:]]), "duplicate_key", "rows"),
    DocumentCase("row-two-objects", texts(lambda texts: [texts[0], texts[1] + texts[1]]), "malformed_json", "rows"),
    DocumentCase("row-nan", texts(lambda texts: [texts[0], '{"a": NaN}']), "malformed_json", "rows"),
    DocumentCase("row-unknown-column", records(lambda rows, names: [rows[0], {**rows[1], "colour": 1}]), "unknown_input", "colour"),
    DocumentCase("row-missing-column", records(lambda rows, names: [rows[0], drop(rows[1], names["long"])]), "missing_input", "long"),
    DocumentCase("row-wrong-type", records(lambda rows, names: [rows[0], {**rows[1], names["long"]: "7"}]), "wrong_datatype", "long"),
    DocumentCase("row-null-value", records(lambda rows, names: [rows[0], {**rows[1], names["text"]: None}]), "null", "text"),
    DocumentCase("row-nested-value", records(lambda rows, names: [rows[0], {**rows[1], names["text"]: ["x"]}]), "wrong_shape", "text"),
    DocumentCase("rows-as-numbers", texts(list, datatype="INT64", data=[7, 8]), "wrong_datatype", "rows"),
    DocumentCase("rows-as-wrong-datatype", texts(list, datatype="FP64"), "wrong_datatype", "rows"),
    DocumentCase("rows-wrong-content-type", texts(list, parameters={"content_type": "base64"}), "unknown_content_type", "rows"),
    DocumentCase("rows-wrong-shape", texts(list, shape=[3]), "wrong_shape", "rows"),
    DocumentCase("rows-and-columns", tensors(lambda inputs, names: [*inputs, {**inputs[0], "name": "rows"}]), "unknown_input", "rows"),
    # The rest of the request
    DocumentCase("unknown-field", top(output=[{"name": "prediction"}]), "unknown_field"),
    DocumentCase("id-a-number", top(id=42), "wrong_id"),
    DocumentCase("id-too-long", top(id="i" * 129), "wrong_id"),
    DocumentCase("id-with-a-newline", top(id="a\nb"), "wrong_id"),
    DocumentCase("id-with-an-escape", top(id="\x1b[31m"), "wrong_id"),
    DocumentCase("parameters-a-list", top(parameters=[]), "wrong_structure"),
    DocumentCase("parameters-text", top(parameters="np"), "wrong_structure"),
    DocumentCase("request-content-type", top(parameters={"content_type": "hf"}), "unknown_content_type"),
    DocumentCase("timeout-negative", top(parameters={"timeout": -1}), "wrong_parameter"),
    DocumentCase("timeout-a-fraction", top(parameters={"timeout": 1.5}), "wrong_parameter"),
    DocumentCase("timeout-a-boolean", top(parameters={"timeout": True}), "wrong_parameter"),
    DocumentCase("timeout-text", top(parameters={"timeout": "1s"}), "wrong_parameter"),
    DocumentCase("unknown-output", top(outputs=[{"name": "shap"}]), "unknown_output", "shap"),
    DocumentCase("output-twice", top(outputs=[{"name": "prediction"}, {"name": "prediction"}]), "duplicate_output", "prediction"),
    DocumentCase("output-text", top(outputs=["prediction"]), "wrong_structure"),
    DocumentCase("output-nameless", top(outputs=[{}]), "wrong_structure"),
    DocumentCase("output-unknown-field", top(outputs=[{"name": "prediction", "shape": [1]}]), "wrong_structure"),
    DocumentCase("outputs-an-object", top(outputs={"name": "prediction"}), "wrong_structure"),
    *(DocumentCase(f"outputs-{name}", top(outputs=value), "wrong_structure") for name, value in [("false", False), ("zero", 0), ("text", ""), ("empty-object", {})]),
    DocumentCase("classification", top(outputs=[{"name": "prediction", "parameters": {"classification": 3}}]), "wrong_parameter", "prediction"),
    DocumentCase("output-in-shared-memory", top(outputs=[{"name": "prediction", "parameters": {"shared_memory_region": "r"}}]), "wrong_parameter", "prediction"),
]  # fmt: skip
