"""Arrays become answers: every output type, in JSON and in messages, as valid as the protocol."""

import json
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferResult
from tritonclient.grpc.service_pb2 import ModelInferResponse

from registry.contract import ClassName, Contract, Datatype, Output
from serving.decode import Request
from serving.encode import Encoder
from tests.serving.cases_models import WIDE


def encoder(datatype: Datatype, classes: tuple[ClassName, ...] | None = None) -> Encoder:
    outputs = [Output(name="prediction", datatype=datatype, shape=(-1,))]
    if classes is not None:
        width = (-1, len(classes))
        outputs.append(Output(name="probability", datatype="FP64", shape=width, classes=classes))
    task: Any = "regression" if classes is None else "multiclass"
    contract = Contract(task=task, columns=WIDE.contract.columns, outputs=tuple(outputs))
    return Encoder(contract, 'a "model"', "7")


def request(rows: int, **fields: Any) -> Request:
    return Request({}, rows, 0, {}, **fields)


VALUES: list[Any] = [
    pytest.param("FP64", np.array([1.5, -0.1]), [1.5, -0.1], id="double"),
    pytest.param("FP64", np.array([0.1, 2], np.float32), [float(np.float32(0.1)), 2.0], id="float"),
    pytest.param("FP64", np.array([[1.5], [2.5]]), [1.5, 2.5], id="column"),
    pytest.param("INT64", np.array([2**63 - 1, -1]), [2**63 - 1, -1], id="long"),
    pytest.param("INT64", np.array([1, 2], np.int32), [1, 2], id="integer"),
    pytest.param("BOOL", np.array([True, False]), [True, False], id="boolean"),
    pytest.param("BYTES", np.array(["é", ""], object), ["é", ""], id="text"),
    pytest.param("BYTES", np.array(["ab", "c"]), ["ab", "c"], id="fixed-width-text"),
]


@pytest.mark.parametrize(("datatype", "array", "expected"), VALUES)
def test_values_come_back_unchanged(datatype: Datatype, array: Any, expected: list[Any]) -> None:
    write = encoder(datatype)
    outputs = {"prediction": array}
    (tensor,) = json.loads(write.v2_json(request(2), outputs))["outputs"]
    assert (tensor["shape"], tensor["datatype"], tensor["data"]) == ([2], datatype, expected)
    assert json.loads(write.predict_json(request(2), outputs)) == {
        "predictions": expected,
        "model": {"name": 'a "model"', "version": "7"},
    }
    assert json.loads(write.invocations_json(request(2), outputs)) == {"predictions": expected}

    raw = write.v2_grpc(request(2, raw=True), outputs, ModelInferResponse)
    read = InferResult(raw).as_numpy("prediction").tolist()
    assert [v.decode() if isinstance(v, bytes) else v for v in read] == expected
    typed = write.v2_grpc(request(2), outputs, ModelInferResponse)
    ((_, values),) = typed.outputs[0].contents.ListFields()
    assert [v.decode() if isinstance(v, bytes) else v for v in values] == expected
    assert list(typed.outputs[0].shape) == [2]


def test_what_is_not_finite_is_null_in_json_and_itself_in_messages() -> None:
    outputs = {"prediction": np.array([np.nan, np.inf, -np.inf, 1.0])}
    write = encoder("FP64")
    for body in (
        write.predict_json(request(4), outputs),
        write.invocations_json(request(4), outputs),
    ):
        assert json.loads(body)["predictions"] == [None, None, None, 1.0]
    (tensor,) = json.loads(write.v2_json(request(4), outputs))["outputs"]
    assert tensor["data"] == [None, None, None, 1.0]
    raw = write.v2_grpc(request(4, raw=True), outputs, ModelInferResponse)
    read = InferResult(raw).as_numpy("prediction")
    np.testing.assert_array_equal(read, outputs["prediction"])


@pytest.mark.parametrize(
    ("datatype", "classes", "labels", "named"),
    [
        ("BYTES", ("no", "yes"), np.array(["no"], object), ["no", "yes"]),
        ("INT64", (3, 10), np.array([3]), ["3", "10"]),
        ("BOOL", (False, True), np.array([False]), ["false", "true"]),
    ],
)
def test_probabilities_are_named_by_class(
    datatype: Datatype, classes: tuple[ClassName, ...], labels: Any, named: list[str]
) -> None:
    outputs = {"prediction": labels, "probability": np.array([[0.75, 0.25]], np.float32)}
    write = encoder(datatype, classes)
    answer = json.loads(write.predict_json(request(1), outputs))
    assert answer["probabilities"] == [dict(zip(named, [0.75, 0.25], strict=True))]
    _, tensor = json.loads(write.v2_json(request(1), outputs))["outputs"]
    assert tensor["parameters"]["classes"] == list(classes)
    assert (tensor["shape"], tensor["data"]) == ([1, 2], [0.75, 0.25])
    response = write.v2_grpc(request(1), outputs, ModelInferResponse)
    assert json.loads(response.outputs[1].parameters["classes"].string_param) == list(classes)


def test_outputs_come_in_the_order_asked_for() -> None:
    outputs = {"prediction": np.array(["no"], object), "probability": np.array([[0.75, 0.25]])}
    write = encoder("BYTES", ("no", "yes"))
    for names in (("probability", "prediction"), ("probability",), ("prediction",)):
        chosen = request(1, outputs=names, id="é")
        answer = json.loads(write.v2_json(chosen, outputs))
        assert [tensor["name"] for tensor in answer["outputs"]] == list(names)
        assert answer["id"] == "é"
        response = write.v2_grpc(chosen, outputs, ModelInferResponse)
        assert [tensor.name for tensor in response.outputs] == list(names)
        assert response.id == "é"
