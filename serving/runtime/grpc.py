"""The gRPC door: MLServer's inference service, its messages read by the contract."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import NoReturn

import grpc
from google.protobuf.message import DecodeError
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.converters import ModelMetadataResponseConverter
from mlserver.grpc.dataplane_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from mlserver.grpc.servicers import InferenceServicer
from mlserver.handlers import DataPlane, ModelRepositoryHandlers

from serving.problems import Code, Problem, Refusal, refuse
from serving.runtime.incident import incident
from serving.runtime.metrics import ModelMetrics
from serving.runtime.model import AssayRuntime
from serving.runtime.rest import unknown_model

STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class AssayServicer(InferenceServicer):
    """Answers for one model; there is no way to load, unload or list models."""

    def __init__(self, data_plane: DataPlane, handlers: ModelRepositoryHandlers) -> None:
        super().__init__(data_plane, handlers)
        self._metrics: ModelMetrics | None = None
        self._model: AssayRuntime | None = None
        self._in_flight = 0

    async def ModelInfer(  # noqa: N802 - the protocol's name
        self, request: bytes, context: grpc.aio.ServicerContext
    ) -> pb.ModelInferResponse:
        """Answer one inference request."""
        try:
            return await self._infer(_parse(request), context)
        except Refusal as refusal:
            await _abort(context, refusal)

    async def ModelStreamInfer(  # noqa: N802
        self,
        requests_stream: AsyncIterator[bytes],
        context: grpc.aio.ServicerContext,
    ) -> AsyncIterator[pb.ModelInferResponse]:
        """Answer each request of a stream in its turn."""
        async for request in requests_stream:
            yield await self.ModelInfer(request, context)

    async def ModelReady(  # noqa: N802
        self, request: pb.ModelReadyRequest, context: grpc.aio.ServicerContext
    ) -> pb.ModelReadyResponse:
        """Say whether the model answers."""
        try:
            runtime = await self._runtime(request.name, request.version)
        except Refusal as refusal:
            await _abort(context, refusal)
        return pb.ModelReadyResponse(ready=runtime.ready)

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, context: grpc.aio.ServicerContext
    ) -> pb.ModelMetadataResponse:
        """Say what is accepted and returned."""
        try:
            runtime = await self._runtime(request.name, request.version)
            metadata = await runtime.metadata()
        except Refusal as refusal:
            await _abort(context, refusal)
        return ModelMetadataResponseConverter.from_types(metadata)

    async def RepositoryIndex(  # noqa: N802
        self, _request: pb.RepositoryIndexRequest, context: grpc.aio.ServicerContext
    ) -> NoReturn:
        """Not offered: a bundle is the whole repository."""
        refusal = "models are neither listed nor moved here"
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, refusal)
        raise AssertionError(refusal)  # abort has raised; the types do not say so

    RepositoryModelLoad = RepositoryIndex
    RepositoryModelUnload = RepositoryIndex

    async def _runtime(self, name: str, version: str) -> AssayRuntime:
        if self._model is None:  # looked up once: MLServer makes tasks for it every time
            (self._model,) = await self._data_plane._model_registry.get_models()
        runtime = self._model
        if name != runtime.name or version not in ("", runtime.version):
            raise unknown_model(runtime, name)
        return runtime

    async def _infer(
        self, message: pb.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> pb.ModelInferResponse:
        started = time.perf_counter()
        runtime = await self._runtime(message.model_name, message.model_version)
        status = 200
        problems: tuple[Problem, ...] = ()
        self._in_flight += 1
        try:
            return await self._answer(runtime, message, context)
        except Refusal as refusal:
            status, problems = refusal.status, refusal.problems
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence
            status = 500
            raise incident(error) from None
        finally:
            self._in_flight -= 1
            self._count(runtime, status, time.perf_counter() - started, problems)

    async def _answer(
        self,
        runtime: AssayRuntime,
        message: pb.ModelInferRequest,
        context: grpc.aio.ServicerContext,
    ) -> pb.ModelInferResponse:
        plane = runtime.plane
        if self._in_flight > plane.limits.max_waiting:
            raise refuse(503, Code.OVERLOADED, "too many requests are waiting; try again")
        request = plane.decoder.v2_grpc(message)
        left = context.time_remaining()
        if request.timeout_us is not None:
            left = min(request.timeout_us / 1e6, left if left is not None else float("inf"))
        deadline = None if left is None else asyncio.get_running_loop().time() + left
        outputs = await plane.predict(request, deadline)
        context.set_trailing_metadata((("assay-model", plane.badge),))
        return plane.encoder.v2_grpc(request, outputs, pb.ModelInferResponse)

    def _count(
        self, runtime: AssayRuntime, status: int, seconds: float, problems: tuple[Problem, ...]
    ) -> None:
        if self._metrics is None:
            self._metrics = ModelMetrics(self._data_plane, runtime.name, runtime.version)
        self._metrics.observe(status, seconds)
        if runtime.loaded:
            runtime.plane.statistics.count(status, seconds, problems)


def add_service(servicer: AssayServicer, server: grpc.aio.Server) -> None:
    """Add MLServer's service, with requests to infer left as bytes.

    What protobuf cannot parse is then refused like everything else that is wrong with a request;
    grpc itself would answer UNKNOWN and log a traceback.
    """
    unparsed = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(
            servicer.ModelInfer, response_serializer=pb.ModelInferResponse.SerializeToString
        ),
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(
            servicer.ModelStreamInfer, response_serializer=pb.ModelInferResponse.SerializeToString
        ),
    }
    add_GRPCInferenceServiceServicer_to_server(servicer, server)
    server.add_registered_method_handlers("inference.GRPCInferenceService", unparsed)  # these win


def _parse(request: bytes) -> pb.ModelInferRequest:
    try:
        return pb.ModelInferRequest.FromString(request)
    except DecodeError:
        raise refuse(
            400,
            Code.MALFORMED_MESSAGE,
            "no ModelInferRequest of the Open Inference Protocol, or text in it that is not UTF-8",
        ) from None


async def _abort(context: grpc.aio.ServicerContext, refusal: Refusal) -> NoReturn:
    await context.abort(STATUS[refusal.status], refusal.text())
    raise AssertionError(refusal)  # abort has raised; the types do not say so
