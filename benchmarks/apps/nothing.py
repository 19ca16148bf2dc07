"""A server that does nothing: what the clients themselves can ask in a second.

python nothing.py HTTP_PORT GRPC_PORT
"""

import asyncio
import sys

import grpc
import uvloop

BODY = b'{"nothing":true}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Rest(asyncio.Protocol):
    """Answers whatever arrives in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002
        """Answer."""
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


class Grpc(grpc.GenericRpcHandler):
    """Answers every method with the same bytes."""

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The one handler."""
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, _request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return BODY


async def serve(http_port: int, grpc_port: int) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Grpc()])
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    rest = await asyncio.get_running_loop().create_server(Rest, "127.0.0.1", http_port)
    await rest.serve_forever()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
