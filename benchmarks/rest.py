"""An HTTP/1.1 client that costs its core as little as Python allows.

Requests are bytes rendered before; of an answer only the status, the length and the body are read.
"""

import asyncio
import http.client
import socket
import time
from collections.abc import Callable
from typing import cast

from benchmarks.errors import BenchmarkError
from benchmarks.load import ClosedLoop

LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(
        self,
        on_answer: "Callable[[Connection, bytes, bytes], None]",
        on_loss: "Callable[[Connection], None]",
    ) -> None:
        self._on_answer = on_answer
        self._on_loss = on_loss
        self._received = b""
        self.position = 0
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The server, or we, closed."""
        self._on_loss(self)

    def send(self, request: bytes, position: int, since: float) -> None:
        """Send a request, whose latency counts from `since`."""
        self.position = position
        self.since = since
        self._transport.write(request)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Hand the status (three digits) and body over as soon as they are whole."""
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            self._received = received
            return
        head = received[:end].lower()
        at = head.find(LENGTH)
        if at < 0:
            raise BenchmarkError(f"an answer without a length: {head!r}")
        stop = head.find(b"\r", at)
        length = int(head[at + len(LENGTH) : stop if stop > 0 else end])
        if len(received) < end + 4 + length:
            self._received = received
            return
        self._received = b""
        self._on_answer(self, head[9:12], received[end + 4 :])


def exchange(address: str, request: bytes) -> bytes:
    """Ask once, and wait for the answer; raises OSError where there is none, or no success."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
            body = response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        if response.status != 200:
            raise ConnectionError(f"{response.status}: {body[:200]!r}")
        return body


async def ask(address: str, connections: int, loop: ClosedLoop) -> None:
    """Keep the connections busy until the loop stops."""
    events = asyncio.get_running_loop()
    host, port = address.split(":")
    over = events.create_future()
    left = connections
    reconnecting: list[asyncio.Task[None]] = []

    def on_answer(connection: Connection, status: bytes, body: bytes) -> None:
        if status == b"200":
            loop.answered(connection.position, connection.since, body)
        else:
            loop.failed(f"{status.decode()}: {body[:200]!r}")
        again(connection)

    def again(connection: Connection) -> None:
        if loop.running:
            position = loop.take()
            connection.send(loop.requests[position], position, time.perf_counter())
        else:
            connection.close()

    def on_loss(_: Connection) -> None:
        nonlocal left
        if loop.running:
            loop.failed("the server closed the connection")
            reconnecting.append(events.create_task(connect()))
            return
        left -= 1
        if left == 0 and not over.done():
            over.set_result(None)

    async def connect() -> None:
        try:
            _, connection = await events.create_connection(
                lambda: Connection(on_answer, on_loss), host, int(port)
            )
        except OSError as error:
            if not over.done():
                over.set_exception(error)
            return
        again(connection)

    for _ in range(connections):
        await connect()
    await over
