"""What is refused before a request is read: paths, methods, headers, sizes; over REST and gRPC."""

# ruff: noqa: E501 - a case is one line, however long

import gzip
import http.client
import json
import socket
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from tritonclient.grpc.service_pb2 import ModelInferRequest
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from serving.limits import ServerLimits
from tests.serving.cases_grpc import message
from tests.serving.cases_models import Model
from tests.serving.conftest import Serving

INFER = "/v2/models/income/infer"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class DoorCase:
    """A request whose body would be right, if it got that far."""

    id: str
    path: str
    status: int
    code: str | None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


DOOR = [
    DoorCase("plain", INFER, 200, None),
    DoorCase("version", "/v2/models/income/versions/1/infer", 200, None),
    DoorCase("charset", INFER, 200, None, headers={"Content-Type": "application/json; charset=utf-8"}),
    DoorCase("upper-case", INFER, 200, None, headers={"Content-Type": "Application/JSON"}),
    DoorCase("no-content-type", INFER, 200, None, headers={}),
    DoorCase("identity", INFER, 200, None, headers={**JSON, "Content-Encoding": "identity"}),
    DoorCase("form", INFER, 415, "unsupported_media_type", headers={"Content-Type": "application/x-www-form-urlencoded"}),
    DoorCase("csv", INFER, 415, "unsupported_media_type", headers={"Content-Type": "text/csv"}),
    DoorCase("octets", INFER, 415, "unsupported_media_type", headers={"Content-Type": "application/octet-stream"}),
    DoorCase("csv-for-predict", "/predict", 415, "unsupported_media_type", headers={"Content-Type": "text/csv"}),
    DoorCase("no-content-type-for-invocations", "/invocations", 415, "unsupported_media_type", headers={}),
    DoorCase("brotli", INFER, 415, "unsupported_media_type", headers={**JSON, "Content-Encoding": "br"}),
    DoorCase("two-encodings", INFER, 415, "unsupported_media_type", headers={**JSON, "Content-Encoding": "gzip, gzip"}),
    DoorCase("not-gzip", INFER, 400, "malformed_compression", headers={**JSON, "Content-Encoding": "gzip"}),
    DoorCase("not-deflate", INFER, 400, "malformed_compression", headers={**JSON, "Content-Encoding": "deflate"}),
    DoorCase("binary-header", INFER, 400, "binary_tensor", headers={**JSON, "Inference-Header-Content-Length": "10"}),
    DoorCase("other-model", "/v2/models/incom/infer", 404, "unknown_model"),
    DoorCase("other-version", "/v2/models/income/versions/2/infer", 404, "unknown_version"),
    DoorCase("version-leading-zero", "/v2/models/income/versions/01/infer", 404, "unknown_version"),
    DoorCase("nameless", "/v2/models//infer", 404, "unknown_path"),
    DoorCase("encoded-name", "/v2/models/%69ncome/infer", 200, None),
    DoorCase("slash-behind", "/predict/", 404, "unknown_path"),
    DoorCase("nowhere", "/v2/models/income/explain", 404, "unknown_path"),
    DoorCase("generate", "/v2/models/income/generate", 404, "unknown_path"),
    DoorCase("stream", "/v2/models/income/infer_stream", 404, "unknown_path"),
    DoorCase("index", "/v2/repository/index", 404, "unknown_path"),
    DoorCase("unload", "/v2/repository/models/income/unload", 404, "unknown_path"),
    *(DoorCase(f"{method.lower()}-infer", INFER, 405, "wrong_method", method) for method in ("GET", "PUT", "DELETE", "PATCH")),
    *(DoorCase(f"get{path.replace('/', '-')}", path, 405, "wrong_method", "GET") for path in ("/predict", "/invocations")),
    *(DoorCase(f"post{path.replace('/', '-')}", path, 405, "wrong_method") for path in ("/health", "/ping", "/version", "/v2", "/v2/health/ready", "/v2/models/income")),
]  # fmt: skip


@pytest.fixture(scope="module")
def model(income_server: Serving) -> Model:
    golden = income_server.bundle.artifact.golden.rows
    rows = [row for row in golden if None not in row.values()]
    return Model("income", income_server.contract, tuple(rows[:2]))


@pytest.fixture(scope="module")
def connection(income_server: Serving) -> http.client.HTTPConnection:
    """One connection for all of them: a refusal does not end it."""
    address = urlsplit(income_server.rest)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
) -> tuple[int, Mapping[str, str], Any]:
    before = connection.sock
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    answer = response.read()
    assert connection.sock is not None, "the server closed the connection"
    assert before is None or connection.sock is before
    return response.status, response.headers, json.loads(answer)


@pytest.mark.parametrize("case", DOOR, ids=lambda case: case.id)
def test_door(connection: http.client.HTTPConnection, model: Model, case: DoorCase) -> None:
    body = json.dumps(model.tensors()).encode()
    status, headers, answer = ask(connection, case.method, case.path, body, case.headers)
    assert status == case.status, answer
    if case.code is not None:
        assert [problem["code"] for problem in answer["problems"]] == [case.code]
        assert headers["Content-Type"] == "application/json"
    assert ("Allow" in headers) == (status == 405)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bodies_may_be_compressed(
    connection: http.client.HTTPConnection, model: Model, encoding: str
) -> None:
    body = json.dumps(model.tensors()).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    for sent, expected in ((packed, None), (packed[:-9], "malformed_compression")):
        headers = {**JSON, "Content-Encoding": encoding}
        status, _, answer = ask(connection, "POST", INFER, sent, headers)
        if expected is None:
            assert status == 200
        else:
            assert (status, answer["problems"][0]["code"]) == (400, expected)


LARGEST = ServerLimits().max_bytes


def test_a_body_that_says_it_is_too_large_is_refused_unread(income_server: Serving) -> None:
    with raw_post(income_server, b"content-length: 52428800") as connection:
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"too_large"' in answer


def test_a_body_that_grows_too_large_is_refused_at_the_limit(income_server: Serving) -> None:
    piece = b"%x\r\n%b\r\n" % (2**16, b" " * 2**16)
    with raw_post(income_server, b"transfer-encoding: chunked") as connection:
        for _ in range(LARGEST // 2**16 + 1):
            connection.sendall(piece)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"too_large"' in answer


def raw_post(serving: Serving, length: bytes) -> socket.socket:
    """A connection on which the head of a POST is sent, and the body is not."""
    address = urlsplit(serving.rest)
    connection = socket.create_connection((address.hostname, address.port), timeout=10)
    connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % length)
    return connection


def test_a_small_body_that_unfolds_beyond_the_limit_is_refused(
    connection: http.client.HTTPConnection,
) -> None:
    bomb = gzip.compress(bytes(LARGEST * 8))
    assert len(bomb) < LARGEST / 8
    headers = {**JSON, "Content-Encoding": "gzip"}
    status, _, answer = ask(connection, "POST", "/predict", bomb, headers)
    assert (status, answer["problems"][0]["code"]) == (413, "too_large")


def test_others_are_answered_while_a_large_body_comes_in(
    income_server: Serving, model: Model
) -> None:
    address = urlsplit(income_server.rest)
    with (
        socket.create_connection((address.hostname, address.port), timeout=10) as slow,
        httpx.Client(base_url=income_server.rest) as quick,
    ):
        slow.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 8000000\r\n\r\n")
        times = []
        for _ in range(100):
            slow.sendall(b" " * 65536)
            started = time.perf_counter()
            quick.post("/predict", json={"rows": model.rows}).raise_for_status()
            times.append(time.perf_counter() - started)
    assert sorted(times)[90] < 0.25


@pytest.mark.parametrize(
    ("name", "version", "status", "code"),
    [
        ("income", "", grpc.StatusCode.OK, None),
        ("income", "1", grpc.StatusCode.OK, None),
        ("incom", "", grpc.StatusCode.NOT_FOUND, "unknown_model"),
        ("", "", grpc.StatusCode.NOT_FOUND, "unknown_model"),
        ("income", "2", grpc.StatusCode.NOT_FOUND, "unknown_version"),
        ("x" * 5000, "", grpc.StatusCode.NOT_FOUND, "unknown_model"),
    ],
)
def test_grpc_names(
    income_server: Serving,
    model: Model,
    name: str,
    version: str,
    status: grpc.StatusCode,
    code: str | None,
) -> None:
    request: ModelInferRequest = message(model.tensors())
    request.model_name, request.model_version = name, version
    with grpc.insecure_channel(income_server.grpc) as channel:
        call = GRPCInferenceServiceStub(channel).ModelInfer.future(request, timeout=10)
        assert call.code() == status
        if code is not None:
            assert json.loads(call.details())["problems"][0]["code"] == code


def test_a_grpc_message_that_is_too_large_is_refused(income_server: Serving, model: Model) -> None:
    request = message(model.tensors())
    request.inputs[0].parameters["blob"].string_param = "x" * (LARGEST + 2**20)
    request.model_name = "income"
    with grpc.insecure_channel(income_server.grpc) as channel:
        call = GRPCInferenceServiceStub(channel).ModelInfer.future(request, timeout=20)
        assert call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
