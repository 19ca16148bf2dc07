"""MLServer's servers with Assay's doors, and the place where they come in."""

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import Any

import mlserver.grpc.server
import mlserver.logging
import mlserver.metrics.server
import mlserver.rest.server
import mlserver.server
import uvicorn
from fastapi import FastAPI
from mlserver import MLModel, ModelSettings, Settings
from mlserver.errors import ModelNotFound
from mlserver.repository import ModelRepository
from mlserver.tracing import get_tracer_provider
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.util.http import ExcludeList

from serving.bundle import MODEL_SETTINGS
from serving.runtime.app import furnish
from serving.runtime.body import Message, Receive
from serving.runtime.drain import refuse_new_connections
from serving.runtime.grpc import AssayServicer, add_service
from serving.runtime.http import HttpProtocol
from serving.runtime.metrics import ModelMetrics, RestMetrics
from serving.runtime.model import AssayRuntime
from serving.runtime.rest import App, Door, Send

# Longer than load balancers keep idle connections (60 s mostly): a server that closes first
# loses the request that was just being sent.
KEEP_ALIVE_SECONDS = 75
ACCEPT_SECONDS = 0.1  # for connections that wait to be accepted, a hundred times what one takes


class BundleRepository(ModelRepository):
    """The one model of a bundle.

    MLServer builds this before its servers, which is when ours step in.
    """

    def __init__(self, root: str) -> None:
        self._settings = Path(root) / MODEL_SETTINGS
        # Our events go where MLServer's go, in its format and at its level.
        logging.getLogger("serving").parent = mlserver.logging.get_logger()
        mlserver.server.RESTServer = RestServer
        mlserver.server.GRPCServer = GrpcServer
        mlserver.grpc.server.InferenceServicer = AssayServicer
        mlserver.grpc.server.add_GRPCInferenceServiceServicer_to_server = add_service
        mlserver.grpc.server.add_ModelRepositoryServiceServicer_to_server = _add_nothing
        # MLServer overrides the hook by which uvicorn took over signals until 0.29;
        # later ones have this.
        for module in (mlserver.rest.server, mlserver.metrics.server):
            module._NoSignalServer.capture_signals = lambda _: contextlib.nullcontext()

    async def find(self, name: str) -> list[ModelSettings]:
        """The bundle's model, if that is its name."""
        found = [settings for settings in await self.list() if settings.name == name]
        if not found:
            raise ModelNotFound(name)
        return found

    async def list(self) -> list[ModelSettings]:
        """The bundle's model."""
        return [ModelSettings.parse_file(os.fspath(self._settings))]


class RestServer(mlserver.rest.server.RESTServer):
    """MLServer's REST server behind Assay's door."""

    async def add_custom_handlers(self, model: MLModel) -> MLModel:
        """MLServer calls this before it loads the model, and before it listens."""
        furnish(self._app, model)
        door = Door(
            self._app,
            model,
            (
                RestMetrics(self._settings.metrics_rest_server_prefix),
                ModelMetrics(self._data_plane, model.name, model.version),
            ),
            lambda: len(self._server.server_state.tasks),
        )
        self._door = _traced(door, self._app, self._settings)
        return model

    async def delete_custom_handlers(self, model: MLModel) -> MLModel:
        """Nothing to take back: the process ends with its model."""
        return model

    async def stop(self, sig: int | None = None) -> None:
        """Keep new connections out, accept those that are already open, then let uvicorn finish."""
        listeners = [each for server in self._server.servers for each in server.sockets]
        refuse_new_connections(each.fileno() for each in listeners)
        await asyncio.sleep(ACCEPT_SECONDS)
        await super().stop(sig)

    def _get_config(self) -> uvicorn.Config:
        config: uvicorn.Config = super()._get_config()
        config.app = self._enter
        config.interface = "asgi3"  # uvicorn takes a bound method for ASGI 2
        config.proxy_headers = False  # nobody reads the client's address
        config.http = HttpProtocol
        config.lifespan = "off"  # neither app has anything to start
        config.timeout_keep_alive = KEEP_ALIVE_SECONDS
        return config

    async def _enter(self, scope: Message, receive: Receive, send: Send) -> None:
        await self._door(
            scope, receive, send
        )  # made between this server's start and its first request


class GrpcServer(mlserver.grpc.server.GRPCServer):
    """MLServer's gRPC server; the first that is told to stop."""

    async def stop(self, sig: int | None = None) -> None:
        """Turn readiness off, let clients move away, then let requests in flight finish.

        Ctrl-C is somebody's at a terminal, whose clients have nowhere to move.
        """
        for model in await self._data_plane._model_registry.get_models():
            if isinstance(model, AssayRuntime) and model.loaded:
                model.ready, model.draining = False, True
                if sig != signal.SIGINT:
                    await asyncio.sleep(model.plane.limits.drain_seconds)
        await super().stop(sig)


def _traced(door: Door, app: FastAPI, settings: Settings) -> App:
    """Move MLServer's tracing from its app to the door, so that every request passes it once."""
    if not settings.tracing_server:
        return door
    FastAPIInstrumentor.uninstrument_app(app)
    health = ExcludeList(["/v2/health/live", "/v2/health/ready"])
    return OpenTelemetryMiddleware(
        door, excluded_urls=health, tracer_provider=get_tracer_provider(settings)
    )


def _add_nothing(*_: Any) -> None:
    """MLServer would offer its repository service here."""
