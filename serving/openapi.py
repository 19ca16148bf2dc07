"""The server's OpenAPI document: what this one model takes, says and refuses, ready to be tried."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from registry.contract import Contract
from serving import openapi_schemas as schemas

Part = dict[str, Any]

REFUSALS = {
    400: "The request is wrong; `problems` says how",
    408: "The body did not arrive in time",
    413: "Too many rows, or bytes",
    415: "Another content type or encoding is expected",
    500: "The server failed; its log has the incident of this number",
    503: "Loading, stopping or too busy: try again",
    504: "The request's own deadline passed",
}
PLAIN = {"text/plain": {"schema": {"type": "string"}}}
OBJECT = {"application/json": {"schema": {"type": "object"}}}


def document(
    contract: Contract, model_name: str, model_version: str, example: Mapping[str, Any]
) -> Part:
    """The whole document; `example` is a row that the model accepts."""
    row = {column.name: example.get(column.name) for column in contract.columns}
    model = f"/v2/models/{model_name}"
    version = f"{model}/versions/{model_version}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": model_name,
            "version": model_version,
            "description": "Every answer comes from this one version of the model.",
        },
        "paths": {
            "/predict": _post("Ask with plain JSON", "predict", "Predictions", _predict(row)),
            "/invocations": _post(
                "Ask as MLflow's scoring server is asked",
                "invocations",
                "Invocations",
                _invocations(row),
            ),
            f"{model}/infer": _post(
                "Ask over the V2 protocol", "infer", "InferenceResponse", _infer(contract, row)
            ),
            f"{version}/infer": _post(
                "Ask a version over the V2 protocol",
                "infer-version",
                "InferenceResponse",
                _infer(contract, row),
            ),
            model: _get("What the model takes and returns", "metadata", OBJECT),
            version: _get("What the version takes and returns", "metadata-version", OBJECT),
            f"{model}/ready": _get("Whether the model answers", "ready"),
            f"{version}/ready": _get("Whether the version answers", "ready-version"),
            "/v2": _get("What the server is", "server", OBJECT),
            "/v2/health/live": _get("Whether the process runs", "live"),
            "/v2/health/ready": _get("Whether the server answers", "server-ready"),
            "/health": _get("Who answers here, how good it is, what it has done", "health", OBJECT),
            "/ping": _get("Whether the model answers, as MLflow asks", "ping", PLAIN),
            "/version": _get("The version of MLflow the model was saved with", "version", PLAIN),
        },
        "components": {
            "schemas": {
                "Row": schemas.row(contract),
                "Predictions": schemas.predictions(contract, model_name, model_version),
                "InvocationsRequest": schemas.invocations_request(),
                "Invocations": schemas.invocations(contract),
                "InferenceRequest": schemas.inference_request(contract),
                "InferenceResponse": schemas.inference_response(
                    contract, model_name, model_version
                ),
                "Refusal": schemas.refusal(),
            }
        },
    }


def _post(summary: str, operation: str, answer: str, content: Part) -> Part:
    responses: Part = {"200": {"description": "Answered", "content": _json(_ref(answer))}}
    for status, description in REFUSALS.items():
        responses[str(status)] = {"description": description, "content": _json(_ref("Refusal"))}
    body = {"required": True, "content": content}
    return {
        "post": {
            "summary": summary,
            "operationId": operation,
            "requestBody": body,
            "responses": responses,
        }
    }


def _get(summary: str, operation: str, content: Part | None = None) -> Part:
    answered = {"description": "Answered", **({"content": content} if content else {})}
    responses = {"200": answered, "503": {"description": REFUSALS[503]}}
    return {"get": {"summary": summary, "operationId": operation, "responses": responses}}


def _predict(row: Part) -> Part:
    rows = {"type": "array", "items": _ref("Row"), "minItems": 1}
    return _json(schemas.closed({"rows": rows}), {"rows": [row]})


def _infer(contract: Contract, row: Part) -> Part:
    tensors = [
        {
            "name": column.name,
            "shape": [1, 1],
            "datatype": column.datatype,
            "data": [row[column.name]],
        }
        for column in contract.columns
    ]
    return _json(_ref("InferenceRequest"), {"inputs": tensors})


def _invocations(row: Part) -> Part:
    frame = {"columns": list(row), "data": [list(row.values())]}
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([row.keys(), row.values()])
    table = {"schema": {"type": "string"}, "example": text.getvalue()}
    example = {"dataframe_split": frame}
    return {**_json(_ref("InvocationsRequest"), example), "text/csv": table}


def _json(schema: Part, example: Any = None) -> Part:
    shown = {} if example is None else {"example": example}
    return {"application/json": {"schema": schema, **shown}}


def _ref(name: str) -> Part:
    return {"$ref": f"#/components/schemas/{name}"}
