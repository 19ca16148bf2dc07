"""MLServer's REST app, reduced to what a bundle offers, and with Assay's own pages."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from mlserver.errors import MLServerError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from serving.problems import Code, Refusal, refuse
from serving.runtime import pages
from serving.runtime.incident import incident
from serving.runtime.model import AssayRuntime

# Everything else is dropped: the repository API would let anyone unload the model, the generate
# and stream routes would reach it past the contract, and the docs describe a server that this
# one is not.
KEPT = {
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/{model_name}",
    "/v2/models/{model_name}/ready",
    "/v2/models/{model_name}/versions/{model_version}",
    "/v2/models/{model_name}/versions/{model_version}/ready",
}
REASONS = {
    404: (Code.UNKNOWN_PATH, "there is nothing at this path"),
    405: (Code.WRONG_METHOD, "this path does not take this method"),
}


def furnish(app: FastAPI, runtime: AssayRuntime) -> None:
    """Drop the routes that a bundle does not offer, add Assay's, give errors one shape."""
    app.router.routes[:] = [
        route for route in app.router.routes if getattr(route, "path", None) in KEPT
    ]

    async def health(_: Request) -> Response:
        if not runtime.loaded:
            return JSONResponse({"status": "loading"}, status_code=503)
        status = "draining" if runtime.draining else "ok"
        report = {"status": status, **runtime.plane.health()}
        return JSONResponse(report, status_code=200 if runtime.ready else 503)

    async def ping(_: Request) -> Response:
        return PlainTextResponse("\n", status_code=200 if runtime.ready else 503)

    async def version(_: Request) -> Response:
        # As MLflow's own scoring server says it: the version of MLflow.
        return PlainTextResponse(runtime.plane.bundle.artifact.mlflow_version)

    app.add_route("/health", health, methods=["GET"])
    app.add_route("/ping", ping, methods=["GET"])
    app.add_route("/version", version, methods=["GET"])
    app.router.routes.extend(pages.routes(lambda: runtime.plane))
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(MLServerError, _on_mlserver_error)
    app.add_exception_handler(Exception, _on_exception)


async def _on_refusal(_: Request, refusal: Any) -> Response:
    return _refused(refusal)


async def _on_http_exception(_: Request, error: Any) -> Response:
    code, message = REASONS.get(error.status_code, (Code.WRONG_STRUCTURE, str(error.detail)))
    return _refused(refuse(error.status_code, code, message), error.headers)


async def _on_mlserver_error(_: Request, error: Any) -> Response:
    code = Code.UNKNOWN_MODEL if error.status_code == 404 else Code.NOT_READY
    return _refused(refuse(error.status_code, code, str(error)))


async def _on_exception(_: Request, error: Exception) -> Response:
    return _refused(incident(error))


def _refused(refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    return Response(refusal.body(), refusal.status, headers, media_type="application/json")
