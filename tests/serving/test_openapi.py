"""The OpenAPI document is valid, and what it shows and says is what decoder and encoder do."""

from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest

from registry.contract import Column, Contract, Output
from serving.decode import Decoder, Limits, Request
from serving.encode import Encoder
from serving.openapi import document
from serving.problems import Refusal
from tests.serving.cases_models import WIDE
from tests.serving.test_decode import dump

TEXT = Contract(
    task="regression",
    columns=(Column(name="text", type="string", nullable=False),),
    outputs=(Output(name="prediction", datatype="FP64", shape=(-1,)),),
)
MODELS = [
    pytest.param(WIDE.contract, dict(WIDE.rows[0]), id="wide"),
    pytest.param(WIDE.contract, {**WIDE.rows[0], "maybe": None, "until": None}, id="nulls"),
    pytest.param(TEXT, {"text": "good"}, id="text"),
]


def schema(whole: dict[str, Any], part: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """A schema of the document, its references resolved."""
    jsonschema.Draft202012Validator.check_schema(part)
    return jsonschema.Draft202012Validator({**part, "components": whole["components"]})


def component(whole: dict[str, Any], name: str) -> jsonschema.Draft202012Validator:
    return schema(whole, {"$ref": f"#/components/schemas/{name}"})


@pytest.mark.parametrize(("contract", "row"), MODELS)
def test_examples_are_valid_and_accepted(contract: Contract, row: dict[str, Any]) -> None:
    whole = document(contract, "m", "1", row)
    decoder = Decoder(contract, Limits(max_rows=10, max_bytes=10_000))
    expected = decoder.predict_json(dump({"rows": [row]}))
    for part in whole["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(part)
    shown = 0
    for path, operations in whole["paths"].items():
        for media_type, content in contents(operations):
            example = content["example"]
            schema(whole, content["schema"]).validate(example)
            body = example.encode() if isinstance(example, str) else dump(example)
            same(decode(decoder, path, media_type, body), expected)
            shown += 1
    assert shown == 5


def contents(operations: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    post = operations.get("post")
    return [] if post is None else list(post["requestBody"]["content"].items())


def decode(decoder: Decoder, path: str, media_type: str, body: bytes) -> Request:
    if path == "/predict":
        return decoder.predict_json(body)
    if path == "/invocations":
        return decoder.invocations(body, media_type)
    return decoder.v2_json(body)


def same(request: Request, expected: Request) -> None:
    assert request.columns.keys() == expected.columns.keys()
    for name, column in request.columns.items():
        np.testing.assert_array_equal(column, expected.columns[name])


def test_answers_and_refusals_are_what_the_document_says() -> None:
    contract = WIDE.contract
    whole = document(contract, "wide", "1", WIDE.rows[0])
    decoder = Decoder(contract, Limits(max_rows=10, max_bytes=10_000))
    encoder = Encoder(contract, "wide", "1")
    request = decoder.predict_json(
        dump(
            {
                "rows": [WIDE.rows[0]],
            }
        )
    )
    outputs = {"prediction": np.array(["a"], object), "probability": np.array([[1.0, 0.0, np.nan]])}
    for name, body in (
        ("Predictions", encoder.predict_json(request, outputs)),
        ("Invocations", encoder.invocations_json(request, outputs)),
        ("InferenceResponse", encoder.v2_json(request, outputs)),
    ):
        component(whole, name).validate(orjson.loads(body))
    with pytest.raises(Refusal) as refused:
        decoder.predict_json(dump({"rows": [{}], "x": 1}))
    component(whole, "Refusal").validate(orjson.loads(refused.value.body()))


def test_rows_are_described_column_by_column() -> None:
    row = document(WIDE.contract, "wide", "1", WIDE.rows[0])["components"]["schemas"]["Row"]
    assert list(row["properties"]) == [column.name for column in WIDE.contract.columns]
    assert row["required"] == ["flag", "small", "count", "price", "city", "when"]
    assert row["properties"]["amount"] == {
        "type": ["number", "null"],
        "minimum": -3.4028234663852886e38,
        "maximum": 3.4028234663852886e38,
    }
    assert row["properties"]["city"]["type"] == "string"
    assert "Seen in training: Oslo, Łódź." in row["properties"]["city"]["description"]
