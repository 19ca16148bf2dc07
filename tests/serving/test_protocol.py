"""Every case again, asked of started servers over REST and gRPC, on connections that go on."""

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
import pytest
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
from tritonclient.utils import deserialize_bytes_tensor, triton_to_np_dtype

from serving.problems import MOST_BYTES, Code
from tests.serving.cases import ROLES, TENSORS, TensorCase
from tests.serving.cases_bodies import BODIES, WAYS, BodyCase, WayCase
from tests.serving.cases_documents import DOCUMENTS, DocumentCase
from tests.serving.cases_grpc import MESSAGES, MessageCase, Unsayable, message
from tests.serving.cases_models import WIDE, Model
from tests.serving.conftest import Serving

SERVERS = {"income": "income_server", "house-prices": "house_server"}
STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@dataclass
class Asked:
    """A server with one REST connection and one gRPC channel, and a model to ask it about."""

    serving: Serving
    model: Model
    connection: http.client.HTTPConnection
    stub: GRPCInferenceServiceStub

    @property
    def path(self) -> str:
        return f"/v2/models/{self.serving.name}/infer"

    def post(self, path: str, body: Any, content_type: str = "application/json") -> Any:
        """Ask on the one connection, which must stay open; status and JSON."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        before = self.connection.sock
        self.connection.request("POST", path, body, {"Content-Type": content_type})
        response = self.connection.getresponse()
        answer = response.read()
        assert self.connection.sock is not None, "the server closed the connection"
        assert before is None or self.connection.sock is before
        assert response.getheader("Content-Type") == "application/json"
        return response.status, json.loads(answer)

    def predictions(self, means: Mapping[str, Sequence[Any]]) -> list[Any]:
        """What the server predicts for the model's rows, or for what they mean now."""
        status, answer = self.post("/predict", {"rows": self.model.meaning(means)})
        assert status == 200, answer
        predictions: list[Any] = answer["predictions"]
        return predictions

    def infer(self, request: Any) -> tuple[int, Any]:
        """Ask over gRPC; the status is HTTP's, the answer a list of predictions or JSON."""
        request.model_name = self.serving.name
        try:
            response = self.stub.ModelInfer(request, timeout=10)
        except grpc.RpcError as error:
            (status,) = [http for http, code in STATUS.items() if code == error.code()]
            return status, json.loads(error.details())
        return 200, predicted(response)


def predicted(response: Any) -> list[Any]:
    """The predictions in a gRPC response, from typed or raw contents."""
    (at,) = [n for n, output in enumerate(response.outputs) if output.name == "prediction"]
    output = response.outputs[at]
    if not response.raw_output_contents:
        ((_, values),) = output.contents.ListFields()
        return [v.decode() if isinstance(v, bytes) else v for v in values]
    raw = response.raw_output_contents[at]
    if output.datatype == "BYTES":
        return [text.decode() for text in deserialize_bytes_tensor(raw)]
    values: list[Any] = np.frombuffer(raw, triton_to_np_dtype(output.datatype)).tolist()
    return values


@pytest.fixture(scope="module")
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    serving: Serving = request.getfixturevalue(SERVERS[request.param])
    whole = [row for row in serving.bundle.artifact.golden.rows if None not in row.values()]
    model = Model(serving.name, serving.contract, (whole[0], whole[1]))
    address = urlsplit(serving.rest)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    with grpc.insecure_channel(serving.grpc) as channel:
        yield Asked(serving, model, connection, GRPCInferenceServiceStub(channel))
    connection.close()


def roles(case: Any) -> set[str]:
    """The roles that a case needs."""
    means = getattr(case, "means", None)
    named = {getattr(case, "role", None), getattr(case, "input", None)}
    if isinstance(means, Mapping):
        named |= means.keys()
    elif isinstance(case, MessageCase) and case.means is not None:
        named.add(case.means[0])
    return {name for name in named if name in ROLES["wide"]}


def served(cases: Sequence[Any]) -> Any:
    """Each case with each model that has its roles."""
    return pytest.mark.parametrize(
        ("asked", "case"),
        [
            pytest.param(name, case, id=f"{name}-{case.id}")
            for name in SERVERS
            for case in cases
            if roles(case) <= ROLES[name].keys()
        ],
        indirect=["asked"],
    )


def check(asked: Asked, case: Any, status: int, answer: Any) -> None:
    """The answer is the one that the case says."""
    if case.code is None:
        means = {case.role: case.values} if isinstance(case, TensorCase) else case_means(case)
        assert (status, answer) == (200, asked.predictions(means))
        return
    assert status == getattr(case, "status", 400), answer
    assert answer.keys() == {"error", "problems"}
    assert len(json.dumps(answer)) <= MOST_BYTES
    found = [(problem["input"], problem["code"]) for problem in answer["problems"]]
    assert {code for _, code in found} <= set(Code)
    assert case.code in {code for _, code in found}
    name = asked.model.column(case.role) if isinstance(case, TensorCase) else case.input
    if name is not None:
        assert (asked.model.column(name), case.code) in found


def case_means(case: Any) -> Mapping[str, Sequence[Any]]:
    means = getattr(case, "means", None) or {}
    return dict([means]) if isinstance(means, tuple) else means


def of_v2(status: int, answer: Any) -> Any:
    """The predictions of a V2 answer."""
    if status != 200:
        return answer
    (prediction,) = [o["data"] for o in answer["outputs"] if o["name"] == "prediction"]
    return prediction


@served([*TENSORS, *DOCUMENTS])
def test_v2_rest(asked: Asked, case: TensorCase | DocumentCase) -> None:
    status, answer = asked.post(asked.path, asked.model.changed(case))
    check(asked, case, status, of_v2(status, answer))


@served(BODIES)
def test_bodies(asked: Asked, case: BodyCase) -> None:
    body = case.change(json.dumps(asked.model.tensors()).encode())
    status, answer = asked.post(asked.path, body)
    check(asked, case, status, of_v2(status, answer))


@served(WAYS)
def test_other_ways(asked: Asked, case: WayCase) -> None:
    body = case.change(asked.model.meaning({}), asked.model.names)
    status, answer = asked.post(case.path, body, case.content_type)
    check(asked, case, status, answer["predictions"] if status == 200 else answer)


def said(model: Model, case: TensorCase | DocumentCase) -> list[Any]:
    """The case as messages, with typed and with raw contents, as far as they can say it."""
    messages = []
    for raw in (False, True):
        with contextlib.suppress(Unsayable):
            messages.append(message(model.changed(case), raw))
    return messages


@served([case for case in [*TENSORS, *DOCUMENTS] if said(WIDE, case)])
def test_v2_grpc(asked: Asked, case: TensorCase | DocumentCase) -> None:
    for request in said(asked.model, case):
        check(asked, case, *asked.infer(request))


@served(MESSAGES)
def test_messages(asked: Asked, case: MessageCase) -> None:
    request = message(asked.model.tensors(), case.raw)
    names = [tensor.name for tensor in request.inputs]
    case.change(request, lambda role: names.index(asked.model.column(role)))
    check(asked, case, *asked.infer(request))
