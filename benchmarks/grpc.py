"""A gRPC client that sends and receives messages as bytes, serialised before."""

import asyncio
import time

import grpc

from benchmarks.load import ClosedLoop

METHOD = "/inference.GRPCInferenceService/ModelInfer"
# Channels to one address share a connection otherwise.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def exchange(address: str, request: bytes) -> bytes:
    """Ask once, and wait for the answer; raises OSError where there is none, or no success."""
    with grpc.insecure_channel(address, options=OWN_CONNECTION) as channel:
        try:
            body: bytes = channel.unary_unary(METHOD)(request, timeout=10)
        except grpc.RpcError as error:
            raise ConnectionError(str(error)) from error
    return body


async def ask(address: str, connections: int, loop: ClosedLoop) -> None:
    """Keep the connections busy until the loop stops."""
    await asyncio.gather(*(_ask(address, loop) for _ in range(connections)))


async def _ask(address: str, loop: ClosedLoop) -> None:
    async with grpc.aio.insecure_channel(address, options=OWN_CONNECTION) as channel:
        infer = channel.unary_unary(METHOD)
        while loop.running:
            position = loop.take()
            sent = time.perf_counter()
            try:
                body = await infer(loop.requests[position])
            except grpc.aio.AioRpcError as error:
                loop.failed(f"{error.code().name}: {error.details()}")
            else:
                loop.answered(position, sent, body)
