"""A contract as JSON Schema (2020-12, which OpenAPI 3.1 uses)."""

from typing import Any

from registry.contract import Column, Contract, Output
from serving.decode_head import CONTENT_TYPES, ID_LENGTH
from serving.decode_v2 import ROWS
from serving.encode import label
from serving.numeric import FORMS
from serving.problems import Code

Schema = dict[str, Any]

OUTPUT_TYPES = {"BOOL": "boolean", "INT64": "integer", "FP64": "number", "BYTES": "string"}
BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
CATEGORIES_SHOWN = 12


def row(contract: Contract) -> Schema:
    """One row as a JSON object."""
    return {
        "type": "object",
        "properties": {column.name: value(column) for column in contract.columns},
        "required": [column.name for column in contract.columns if not column.nullable],
        "additionalProperties": False,
    }


def value(column: Column) -> Schema:
    """What one column takes."""
    schema = _typed(column)
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    if column.categories:
        some = ", ".join(column.categories[:CATEGORIES_SHOWN])
        more = ", …" if len(column.categories) > CATEGORIES_SHOWN else ""
        schema["description"] = f"Seen in training: {some}{more}. Other values are answered too."
    return schema


def _typed(column: Column) -> Schema:
    if column.type == "boolean":
        return {"type": "boolean"}
    if column.type in {"integer", "long"}:
        form = FORMS[column.datatype]
        return {"type": "integer", "minimum": form.low, "maximum": form.high}
    if column.type in {"float", "double"}:
        limit = {} if column.limit is None else {"minimum": -column.limit, "maximum": column.limit}
        return {"type": "number", **limit}
    if column.type == "datetime":
        return {"type": "string", "format": "date-time"}
    if column.type == "binary":
        return {"type": "string", "contentEncoding": "base64", "pattern": BASE64}
    return {"type": "string"}


def predictions(contract: Contract, model_name: str, model_version: str) -> Schema:
    """The answer of /predict."""
    prediction, *others = contract.outputs
    properties: Schema = {"predictions": {"type": "array", "items": element(prediction)}}
    for output in others:
        classes = [label(name) for name in output.classes or ()]
        properties["probabilities"] = {
            "type": "array",
            "items": closed({name: element(output) for name in classes}),
        }
    model = closed({"name": {"const": model_name}, "version": {"const": model_version}})
    return closed({**properties, "model": model})


def element(output: Output) -> Schema:
    """One value of an output; a number that is not finite is null."""
    kind = OUTPUT_TYPES[output.datatype]
    return {"type": [kind, "null"] if kind == "number" else kind}


def inference_request(contract: Contract) -> Schema:
    """A V2 request: every tensor is a column, or the only one holds whole rows."""
    columns = contract.columns
    names = [*(column.name for column in columns), ROWS]
    text_only = len(columns) == 1 and columns[0].type == "string"
    tensor = {
        "name": {"type": "string"} if text_only else {"enum": list(dict.fromkeys(names))},
        "shape": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1},
            "minItems": 1,
            "maxItems": 2,
        },
        "datatype": {"enum": ["BOOL", *FORMS, "BYTES"]},
        "parameters": {"type": ["object", "null"]},
        "data": {"type": "array", "minItems": 1},
    }
    output = {
        "name": {"enum": [output.name for output in contract.outputs]},
        "parameters": {"type": ["object", "null"]},
    }
    parameters = {
        "content_type": {"enum": [*sorted(CONTENT_TYPES), None]},
        "timeout": {"type": "integer", "minimum": 0, "description": "Microseconds; 0 is none."},
    }
    properties = {
        "id": {"type": ["string", "null"], "maxLength": ID_LENGTH},
        "parameters": {"type": ["object", "null"], "properties": parameters},
        "inputs": _list(closed(tensor, "parameters")),
        "outputs": {**_list(closed(output, "parameters")), "type": ["array", "null"]},
    }
    return closed(properties, "id", "parameters", "outputs")


def inference_response(contract: Contract, model_name: str, model_version: str) -> Schema:
    """A V2 response."""
    tensors = [
        closed(
            {
                "name": {"const": output.name},
                "datatype": {"const": output.datatype},
                "parameters": {"type": "object"},
                "shape": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1},
                    "minItems": len(output.shape),
                    "maxItems": len(output.shape),
                },
                "data": _list(element(output)),
            }
        )
        for output in contract.outputs
    ]
    properties = {
        "model_name": {"const": model_name},
        "model_version": {"const": model_version},
        "id": {"type": "string", "maxLength": ID_LENGTH},
        "outputs": _list({"oneOf": tensors}),
    }
    return closed(properties, "id")


def invocations(contract: Contract) -> Schema:
    """The answer of /invocations."""
    return closed({"predictions": _list(element(contract.outputs[0]))})


def invocations_request() -> Schema:
    """MLflow's JSON forms; exactly one of them."""
    rows = {"type": "array", "minItems": 1}
    frame = {
        "columns": _list({"type": "string"}),
        "data": _list({"type": "array"}),
        "index": {"type": ["array", "null"]},
    }
    forms = {
        "dataframe_split": closed(frame, "index"),
        "dataframe_records": rows,
        "instances": rows,
        "inputs": {"type": ["array", "object"]},
    }
    params = {"type": ["object", "null"], "maxProperties": 0}
    return {
        **closed({**forms, "params": params}, "params", *forms),
        "oneOf": [{"required": [form]} for form in forms],
    }


def refusal() -> Schema:
    """The one shape of everything that is not an answer."""
    problem = {
        "input": {"type": ["string", "null"]},
        "code": {"enum": [code.value for code in Code]},
        "message": {"type": "string"},
    }
    return closed({"error": {"type": "string"}, "problems": _list(closed(problem))})


def closed(properties: Schema, *optional: str) -> Schema:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}
