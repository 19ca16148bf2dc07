"""Real clients, and the protocol's official descriptions, against a started server."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.serving.cases_models import Model
from tests.serving.conftest import Serving

NUMPY = {"INT64": np.int64, "FP64": np.float64, "BYTES": np.object_}


@pytest.fixture(scope="module")
def model(income_server: Serving) -> Model:
    golden = income_server.bundle.artifact.golden.rows
    rows = [row for row in golden if None not in row.values()]
    return Model("income", income_server.contract, tuple(rows[:3]))


@pytest.fixture(scope="module")
def expected(income_server: Serving, model: Model) -> dict[str, Any]:
    """What /predict answers."""
    answer = httpx.post(f"{income_server.rest}/predict", json={"rows": model.rows})
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def tensors(module: Any, document: Mapping[str, Any], **options: Any) -> list[Any]:
    """The inputs of a V2 document as one of Triton's clients has them."""
    inputs = []
    for tensor in document["inputs"]:
        values = tensor["data"]
        if tensor["datatype"] == "BYTES":
            values = [value.encode() for value in values]
        array = np.array(values, NUMPY[tensor["datatype"]]).reshape(tensor["shape"])
        made = module.InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
        made.set_data_from_numpy(array, **options)
        inputs.append(made)
    return inputs


def check(result: Any, expected: Mapping[str, Any]) -> None:
    """A result of one of Triton's clients is what /predict answered."""
    labels = [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("prediction")]
    assert labels == expected["predictions"]
    probabilities = [list(each.values()) for each in expected["probabilities"]]
    assert result.as_numpy("probability").tolist() == probabilities


@pytest.fixture
def triton_rest(income_server: Serving) -> Iterator[Any]:
    address = income_server.rest.removeprefix("http://")
    with tritonclient.http.InferenceServerClient(address) as client:
        yield client


@pytest.fixture
def triton_grpc(income_server: Serving) -> Iterator[Any]:
    with tritonclient.grpc.InferenceServerClient(income_server.grpc) as client:
        yield client


def test_triton_over_rest(triton_rest: Any, model: Model, expected: Mapping[str, Any]) -> None:
    assert triton_rest.is_server_live()
    assert triton_rest.is_server_ready()
    assert triton_rest.is_model_ready("income")
    inputs = tensors(tritonclient.http, model.tensors(), binary_data=False)
    check(triton_rest.infer("income", inputs, request_id="7"), expected)
    outputs = [tritonclient.http.InferRequestedOutput(n) for n in ("probability", "prediction")]
    result = triton_rest.infer("income", inputs, model_version="1", outputs=outputs, timeout=10**7)
    check(result, expected)
    assert [output["name"] for output in result.get_response()["outputs"]] == [
        "probability",
        "prediction",
    ]


def test_triton_over_rest_is_told_not_to_send_binary_tensors(
    triton_rest: Any, model: Model
) -> None:
    with pytest.raises(InferenceServerException, match="binary tensors") as refused:
        triton_rest.infer("income", tensors(tritonclient.http, model.tensors()))
    assert refused.value.status() == "400"


def test_triton_over_grpc(triton_grpc: Any, model: Model, expected: Mapping[str, Any]) -> None:
    assert triton_grpc.is_model_ready("income", "1")
    inputs = tensors(tritonclient.grpc, model.tensors())
    result = triton_grpc.infer("income", inputs, request_id="7", timeout=10**7)
    check(result, expected)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("7", "income", "1")
    classes = response.outputs[1].parameters["classes"].string_param
    assert json.loads(classes) == list(expected["probabilities"][0])


def test_triton_over_grpc_reads_the_same_refusal(triton_grpc: Any, model: Model) -> None:
    inputs = tensors(tritonclient.grpc, model.tensors())[1:]
    with pytest.raises(InferenceServerException) as refused:
        triton_grpc.infer("income", inputs)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
    (problem,) = json.loads(refused.value.message())["problems"]
    assert (problem["input"], problem["code"]) == ("age", "missing_input")


@pytest.mark.parametrize("name", ["income", "house-prices"])
def test_a_client_that_sends_what_metadata_says_gets_what_metadata_says(
    request: pytest.FixtureRequest, name: str
) -> None:
    serving: Serving = request.getfixturevalue(f"{name.removesuffix('-prices')}_server")
    rows = serving.bundle.artifact.golden.rows[:5]
    path = f"/v2/models/{name}"
    with httpx.Client(base_url=serving.rest) as http:
        metadata = http.get(path).json()
        inputs = [
            {
                "name": tensor["name"],
                "datatype": tensor["datatype"],
                "shape": [len(rows) if size == -1 else size for size in tensor["shape"]],
                "parameters": tensor["parameters"],
                "data": [row[tensor["name"]] for row in rows],
            }
            for tensor in metadata["inputs"]
        ]
        answer = http.post(f"{path}/infer", json={"inputs": inputs, "id": "a b"}).json()
    assert (answer["model_name"], [answer["model_version"]]) == (name, metadata["versions"])
    assert answer["id"] == "a b"
    described = [
        {**tensor, "shape": [len(rows), *tensor["shape"][1:]]} for tensor in metadata["outputs"]
    ]
    returned = [{k: v for k, v in output.items() if k != "data"} for output in answer["outputs"]]
    assert returned == described
    for output in answer["outputs"]:
        assert len(output["data"]) == np.prod(output["shape"])


@pytest.mark.parametrize("batch", ["1", "3"])
def test_mlservers_own_client(
    income_server: Serving, model: Model, expected: Mapping[str, Any], tmp_path: Path, batch: str
) -> None:
    asked, answered = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    asked.write_text("".join(json.dumps(model.tensors([row])) + "\n" for row in model.rows))
    words = ["infer", "-u", income_server.rest.removeprefix("http://"), "-m", "income"]
    files = ["-i", str(asked), "-o", str(answered), "-s", batch, "-w", "1"]
    command = [Path(sys.executable).parent / "mlserver", *words, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    answers = [json.loads(line) for line in answered.read_text().splitlines()]
    answers.sort(key=lambda answer: answer["parameters"]["batch_index"])
    predictions = [answer["outputs"][0]["data"][0] for answer in answers]
    assert predictions == expected["predictions"]


def official(name: str) -> jsonschema.Draft202012Validator:
    """A schema of MLServer's own description of the protocol."""
    spec = find_spec("mlserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    text = (folder / "rest" / "openapi" / "dataplane.json").read_text()
    document = json.loads(text.replace('"bytes"', '"string"'))  # which JSON Schema has not
    reference = {"$ref": f"#/components/schemas/{name}"}
    return jsonschema.Draft202012Validator({**reference, "components": document["components"]})


def test_answers_are_what_mlservers_description_says(income_server: Serving, model: Model) -> None:
    model_path = "/v2/models/income"
    with httpx.Client(base_url=income_server.rest) as http:
        official("MetadataServerResponse").validate(http.get("/v2").json())
        official("MetadataModelResponse").validate(http.get(model_path).json())
        official("MetadataModelErrorResponse").validate(http.get("/v2/models/none").json())
        official("InferenceRequest").validate(model.tensors())
        for extra in ({}, {"id": "7", "outputs": [{"name": "prediction"}]}):
            asked = {**model.tensors(), **extra}
            answer = http.post(f"{model_path}/infer", json=asked)
            official("InferenceResponse").validate(answer.json())
        refused = http.post(f"{model_path}/infer", json={})
        official("InferenceErrorResponse").validate(refused.json())


# Its messages have the same names as tritonclient's: one process holds one of them.
MLSERVER_GRPC = """
import json, sys
import grpc
from mlserver.grpc import converters, dataplane_pb2 as pb, dataplane_pb2_grpc
from mlserver.types import InferenceRequest

address, document = sys.argv[1], json.loads(sys.argv[2])
for tensor in document["inputs"]:
    if tensor["datatype"] == "BYTES":
        tensor["data"] = [text.encode() for text in tensor["data"]]
stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))
for raw in (False, True):
    asked = converters.ModelInferRequestConverter.from_types(
        InferenceRequest(**document), "income", use_raw=raw)
    answer = stub.ModelInfer(asked)
    assert bool(answer.raw_output_contents) == raw
    read = converters.ModelInferResponseConverter.to_types(answer)
    print(json.dumps([t.decode() for t in read.outputs[0].data.root]))
metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name="income"))
print(json.dumps([tensor.name for tensor in metadata.inputs]))
"""


def test_mlservers_messages(
    income_server: Serving, model: Model, expected: Mapping[str, Any]
) -> None:
    arguments = [income_server.grpc, json.dumps(model.tensors())]
    asked = [sys.executable, "-c", MLSERVER_GRPC, *arguments]
    done = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    typed, raw, names = map(json.loads, done.stdout.splitlines())
    assert typed == raw == expected["predictions"]
    assert names == [column.name for column in model.contract.columns]
