"""Whatever some clients do, the others are served: one replica against slow, rude and greedy ones.

What a memory limit does is for the container: tests/image/test_memory_limit.py.
"""

import concurrent.futures
import contextlib
import gzip
import json
import signal
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from serving.bundle import Bundle
from serving.clients import grpc_request, predict_answers
from serving.compare import compare
from serving.process import Server, running
from tests.load.conftest import Seen, bystanders, changed

MANY = 300  # more than the 128 requests that may be in flight
LARGEST = 1024 * 1024
BODY_SECONDS = 2.0
HELD_MB = 60  # small parts of many bodies, and a few whole ones
BOMB = gzip.compress(b" " * 100_000_000)
PATIENCE = 2.0  # seconds; a bystander's request takes milliseconds, on a busy machine tens of them


@dataclass(frozen=True)
class Victim:
    """A server with tight limits, and its bundle."""

    server: Server
    bundle: Bundle

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.ports.http), timeout=20)

    def many(self, stack: contextlib.ExitStack, first: bytes) -> list[socket.socket]:
        """Connections that have sent this, a few at a time: a burst may be told to come back."""
        slow = []
        for number in range(MANY):
            slow.append(stack.enter_context(self.connect()))
            slow[-1].sendall(first)
            if number % 20 == 0:
                time.sleep(0.01)
        return slow

    def errors(self) -> int:
        """Requests that the server itself failed at."""
        found: int = httpx.get(f"{self.server.rest}/health", timeout=20).json()["errors"]
        return found


@pytest.fixture(scope="module")
def victim(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim")
    tight = changed(bundle, folder, max_bytes=LARGEST, body_seconds=BODY_SECONDS)
    with running(tight.folder) as server:
        yield Victim(server, tight)


@pytest.fixture
def seen(victim: Victim) -> Iterator[Seen]:
    """Bystanders who must notice nothing."""
    with bystanders(victim.bundle, victim.server.rest, victim.server.grpc) as seen:
        yield seen
        before, end = dict(seen.answered), time.monotonic() + PATIENCE
        while time.monotonic() < end and any(seen.answered[w] < before[w] + 20 for w in before):
            time.sleep(0.02)
    assert seen.wrong == []
    assert all(seen.answered[way] >= before[way] + 20 for way in before)
    assert seen.slowest < PATIENCE
    assert victim.errors() == 0


def head(length: int, *more: bytes) -> bytes:
    lines = (
        b"POST /predict HTTP/1.1",
        b"Host: x",
        b"Content-Type: application/json",
        b"Content-Length: %d" % length,
        *more,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


def vanish(connection: socket.socket) -> None:
    """Close with a reset, as a process that is killed does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def everything(connection: socket.socket) -> bytes:
    """Read until the server closes; a reset is an end too."""
    chunks = []
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def test_heads_that_drip(victim: Victim, seen: Seen) -> None:
    with contextlib.ExitStack() as stack:
        slow = victim.many(stack, b"POST /predict HTTP/1.1\r\n")
        for piece in (b"Host: x\r\n", b"X-Slow", b": very"):
            for connection in slow:
                connection.sendall(piece)
            time.sleep(0.2)


def test_bodies_that_never_end(victim: Victim, seen: Seen) -> None:
    with contextlib.ExitStack() as stack:
        slow = victim.many(stack, head(5000) + b'{"rows": [')
        started = time.monotonic()
        answers = [connection.recv(65536) for connection in slow]
        assert time.monotonic() - started < BODY_SECONDS + PATIENCE
    assert {answer.split(b" ", 2)[1] for answer in answers} == {b"408"}


def test_bodies_that_drip(victim: Victim, seen: Seen) -> None:
    """Each of many clients sends much, slowly: what is held for them together is bounded."""
    with contextlib.ExitStack() as stack:
        slow = victim.many(stack, head(LARGEST))
        before = victim.server.peak_memory_mb()
        for _ in range(10):
            for connection in slow:
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    connection.sendall(b" " * (LARGEST // 11))
        grown = victim.server.peak_memory_mb() - before
    assert grown < HELD_MB, f"{MANY} bodies of a megabyte made the server {grown:.0f} MB larger"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(head(LARGEST + 1), id="as declared"),
        pytest.param(head(10**15), id="petabytes, as declared"),
        pytest.param(
            head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            + (b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n") * 17,
            id="in chunks",
        ),
        pytest.param(
            head(len(BOMB), b"Content-Encoding: gzip") + BOMB,
            id="a bomb of gzip",
        ),
    ],
)
def test_bodies_beyond_the_limit(victim: Victim, seen: Seen, request_bytes: bytes) -> None:
    before = victim.server.peak_memory_mb()
    for _ in range(5):
        with victim.connect() as connection:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(request_bytes)
            assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert victim.server.peak_memory_mb() - before < 20


@pytest.mark.parametrize("share", [0.3, 1.0], ids=["in their request", "before their answer"])
def test_clients_that_vanish(victim: Victim, seen: Seen, share: float) -> None:
    body = json.dumps({"rows": victim.bundle.artifact.golden.rows[:20]}).encode()
    sent = (head(len(body)) + body)[: int((len(head(len(body))) + len(body)) * share)]
    for _ in range(MANY):
        connection = victim.connect()
        connection.sendall(sent)
        vanish(connection)


def test_grpc_clients_that_vanish_or_send_too_much(victim: Victim, seen: Seen) -> None:
    import tritonclient.grpc
    from tritonclient.utils import InferenceServerException

    contract, name = victim.bundle.artifact.contract, victim.bundle.manifest.model_name
    rows = victim.bundle.artifact.golden.rows
    for _ in range(10):
        rude = tritonclient.grpc.InferenceServerClient(victim.server.grpc)
        for _ in range(10):
            rude.async_infer(name, grpc_request(contract, rows), lambda result, error: None)
        rude.close()
    greedy = tritonclient.grpc.InferenceServerClient(victim.server.grpc)
    tensors = grpc_request(contract, list(rows) * 1000)
    with pytest.raises(InferenceServerException) as refused:
        greedy.infer(name, tensors)
    greedy.close()
    assert refused.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_far_more_than_it_can_do(victim: Victim) -> None:
    """Every request gets its answer or 503, none hangs, and afterwards all is as before."""
    golden, contract = victim.bundle.artifact.golden, victim.bundle.artifact.contract
    rows = list(golden.rows) * 3
    expected = {name: list(values) * 3 for name, values in golden.outputs.items()}
    body = json.dumps({"rows": rows})
    url = f"{victim.server.rest}/predict"
    limits = httpx.Limits(max_connections=None)

    with httpx.Client(timeout=30, limits=limits) as http:

        def ask(_: int) -> int:
            answer = http.post(url, content=body, headers={"Content-Type": "application/json"})
            if answer.status_code == 200:
                found = compare(contract, expected, predict_answers(answer.json()))
                assert found.within(victim.bundle.artifact.parity.tolerance)
            else:
                assert answer.json()["problems"][0]["code"] == "overloaded"
            return answer.status_code

        with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
            statuses = list(pool.map(ask, range(MANY)))
        assert set(statuses) <= {200, 503}
        assert 200 in statuses
        assert ask(0) == 200
    assert victim.errors() == 0


def test_sigterm_under_load(bundle: Bundle, tmp_path: Path) -> None:
    """Each way's clients are answered until they are told to go, and nothing that was accepted is
    lost: a client may at worst find the door closed."""
    hasty = changed(bundle, tmp_path, drain_seconds=1.0)
    with running(hasty.folder) as server:
        with bystanders(hasty, server.rest, server.grpc) as seen:
            time.sleep(0.5)
            before = dict(seen.answered)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.8)
            during = dict(seen.answered)
            assert server.process.wait(20) == 0
        assert all(during[way] > before[way] > 10 for way in before)
        # grpc cancels a call that arrives while it closes and was not handed to the server's code.
        closed = ("Connection refused", "[StatusCode.CANCELLED] CANCELLED")
        lost = [each for each in seen.wrong if not any(door in each for door in closed)]
        assert lost == []
        assert sum("CANCELLED" in each for each in seen.wrong) <= 1, "its one gRPC client goes on"
