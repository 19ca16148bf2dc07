"""What a connection may do before there is a request: little, and not for long."""

import json
import socket

import pytest

from tests.serving.conftest import Serving

# Not imported from serving.runtime: MLServer's protobuf messages have the names of tritonclient's,
# and this process holds the latter.
HEAD_BYTES = 64 * 1024


def _connect(server: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server.ports.http), timeout=10)


def _answer(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 4, id="tls"),
        pytest.param(b"HELLO\r\n\r\n", id="no-http"),
        pytest.param(b"POST /predict HTTP/9.9\r\n\r\n", id="no-such-http"),
        pytest.param(b"POST /predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n", id="negative-length"),
        pytest.param(b"POST /predict HTTP/1.1\r\ncontent-length: x\r\n\r\n", id="no-length"),
        pytest.param(b"POST /predict HTTP/1.1\r\nbad header\r\n\r\n", id="bad-header"),
        pytest.param(
            b"POST /predict HTTP/1.1\r\nx: " + b"a" * (HEAD_BYTES + 70_000), id="endless-head"
        ),
    ],
)
def test_what_is_no_http_is_refused_in_our_shape(income_server: Serving, garbage: bytes) -> None:
    with _connect(income_server) as connection:
        connection.sendall(garbage)
        head, body = _answer(connection).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["problems"][0]["code"] == "malformed_http"


def test_pipelined_requests_are_answered_in_order(income_server: Serving) -> None:
    request = b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with _connect(income_server) as connection:
        connection.sendall(request * 3 + last)
        answers = _answer(connection)
    assert answers.count(b"HTTP/1.1 200") == 4
    assert answers.rstrip().endswith(income_server.bundle.artifact.mlflow_version.encode())


def test_a_head_in_pieces_is_one_request(income_server: Serving) -> None:
    with _connect(income_server) as connection:
        for piece in (b"GET /pi", b"ng HTTP/1.1\r\nho", b"st: x\r\nconnection: close\r", b"\n\r\n"):
            connection.sendall(piece)
        assert _answer(connection).startswith(b"HTTP/1.1 200")


def test_a_body_in_pieces_is_one_request(income_server: Serving) -> None:
    body = json.dumps({"rows": income_server.bundle.artifact.golden.rows[:1]}).encode()
    head = (
        b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    with _connect(income_server) as connection:
        connection.sendall(head)
        for start in range(0, len(body), 50):
            connection.sendall(body[start : start + 50])
        assert _answer(connection).startswith(b"HTTP/1.1 200")
