"""A server that is faster than Locust: it answers a request for real once, then from memory.

Locust's users, with all their checks, are run against it to see what Locust can do at most.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import orjson
import uvloop
from tritonclient.grpc import service_pb2 as pb

from serving.bundle import Bundle, Extra
from serving.plane import Plane
from serving.problems import Refusal

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Memory:
    """Answers by request."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._rest: dict[bytes, bytes] = {}
        self._grpc: dict[bytes, Any] = {}

    def rest(self, path: bytes, body: bytes) -> bytes:
        """A whole HTTP response."""
        if body not in self._rest:
            self._rest[body] = self._response(*self._answer(path, body))
        return self._rest[body]

    def grpc(self, body: bytes) -> Any:
        """A ModelInferResponse, or the Refusal."""
        if body not in self._grpc:
            plane = self._plane
            try:
                request = plane.decoder.v2_grpc(pb.ModelInferRequest.FromString(body))
                outputs = plane.engine.predict(request.columns)
                answer = plane.encoder.v2_grpc(request, outputs, pb.ModelInferResponse)
                self._grpc[body] = answer.SerializeToString()
            except Refusal as refusal:
                self._grpc[body] = refusal
        return self._grpc[body]

    def _answer(self, path: bytes, body: bytes) -> tuple[int, bytes]:
        plane = self._plane
        if path == b"/health":
            return 200, orjson.dumps(plane.health())
        decode, encode = plane.decoder.v2_json, plane.encoder.v2_json
        if path == b"/predict":
            decode, encode = plane.decoder.predict_json, plane.encoder.predict_json
        try:
            request = decode(body)
        except Refusal as refusal:
            return refusal.status, refusal.body()
        return 200, encode(request, plane.engine.predict(request.columns))

    def _response(self, status: int, payload: bytes) -> bytes:
        head = (
            f"HTTP/1.1 {status} .\r\ncontent-type: application/json\r\n"
            f"assay-model: {self._plane.badge}\r\ncontent-length: {len(payload)}"
        )
        return head.encode() + HEAD_END + payload


class Connection(asyncio.Protocol):
    """As much of HTTP/1.1 as Locust speaks."""

    def __init__(self, answer: Callable[[bytes, bytes], bytes]) -> None:
        self._answer = answer
        self._read = b""

    def connection_made(self, transport: Any) -> None:
        """Keep where to write."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._read += data
        while (end := self._read.find(HEAD_END)) >= 0:
            head = self._read[:end]
            start = head.lower().find(LENGTH)
            length = 0 if start < 0 else int(head[start + len(LENGTH) :].split(b"\r\n", 1)[0])
            body_at = end + len(HEAD_END)
            if len(self._read) < body_at + length:
                return
            body = self._read[body_at : body_at + length]
            self._read = self._read[body_at + length :]
            self._transport.write(self._answer(head.split(b" ", 2)[1], body))


async def serve(bundle: Path, http_port: int, grpc_port: int) -> None:
    """Serve on these ports of 127.0.0.1 for ever."""
    memory = Memory(Plane(Bundle(bundle), Extra()))

    async def infer(body: bytes, context: grpc.aio.ServicerContext) -> bytes:
        answer = memory.grpc(body)
        if isinstance(answer, Refusal):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, answer.text())
        found: bytes = answer
        return found

    server = grpc.aio.server()
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    service = "inference.GRPCInferenceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Connection(memory.rest), "127.0.0.1", http_port)
    await server.wait_for_termination()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # it has nothing to finish
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
