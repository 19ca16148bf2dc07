"""The REST door: an ASGI app in front of MLServer's own.

The ways to ask for predictions are answered here, from bytes to bytes: MLServer's route for the
same path spends its time on pydantic models, middleware and a validated response, and nothing of
that is needed where the contract validates. Everything else goes on to MLServer's app.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from serving.decode import Decoder, Request
from serving.encode import Encoder
from serving.engine import Outputs
from serving.problems import Code, Problem, Refusal, refuse
from serving.runtime.body import ClientGone, Headers, Intake, Message, Receive
from serving.runtime.incident import incident
from serving.runtime.metrics import ModelMetrics, RestMetrics
from serving.runtime.model import AssayRuntime

Scope = Message
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

INFER = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/[^/]+)?/infer")
JSON = b"application/json"
REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class Way(NamedTuple):
    """One way to ask: how its bodies are read and its answers written."""

    path: str
    """As metrics name it."""
    decode: Callable[[Decoder, bytes, Headers], Request]
    encode: Callable[[Encoder, Request, Outputs], bytes]


def _decode_infer(decoder: Decoder, body: bytes, headers: Headers) -> Request:
    if b"inference-header-content-length" in headers:
        raise refuse(
            400,
            Code.BINARY_TENSOR,
            "binary tensors are not accepted over REST; send JSON data, or raw contents over gRPC",
        )
    _expect_json(headers)
    return decoder.v2_json(body)


def _decode_predict(decoder: Decoder, body: bytes, headers: Headers) -> Request:
    _expect_json(headers)
    return decoder.predict_json(body)


def _decode_invocations(decoder: Decoder, body: bytes, headers: Headers) -> Request:
    return decoder.invocations(body, headers.get(b"content-type", b"").decode("latin-1"))


INFER_WAY = Way("/v2/models/{model_name}/infer", _decode_infer, Encoder.v2_json)
PREDICT_WAY = Way("/predict", _decode_predict, Encoder.predict_json)
INVOCATIONS_WAY = Way("/invocations", _decode_invocations, Encoder.invocations_json)


class Door:
    """Answers predictions itself and lets MLServer's app answer the rest."""

    def __init__(
        self,
        app: App,
        runtime: AssayRuntime,
        metrics: tuple[RestMetrics, ModelMetrics],
        in_flight: Callable[[], int],
    ) -> None:
        self._app = app
        self._runtime = runtime
        self._rest_metrics, self._model_metrics = metrics
        self._in_flight = in_flight
        self._intake = Intake()
        model = f"/v2/models/{runtime.name}"
        self._ways = {
            f"{model}/infer": INFER_WAY,
            f"{model}/versions/{runtime.version}/infer": INFER_WAY,
            "/predict": PREDICT_WAY,
            "/invocations": INVOCATIONS_WAY,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] == "http":
            way = self._ways.get(scope["path"])
            if way is not None:
                await self._serve(way, scope, receive, send)
                return
            asked = INFER.fullmatch(scope["path"])
            if asked is not None:
                refusal = unknown_model(self._runtime, asked["name"])
                await self._respond(scope, send, refusal.status, refusal.body())
                return
        await self._app(scope, receive, send)

    async def _serve(self, way: Way, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 200
        problems: tuple[Problem, ...] = ()
        try:
            payload = await self._answer(way, scope, receive)
        except ClientGone:
            return
        except Refusal as refusal:
            status, payload, problems = refusal.status, refusal.body(), refusal.problems
        except Exception as error:  # noqa: BLE001 - the last line of defence
            status, payload = 500, incident(error).body()
        await self._respond(scope, send, status, payload)
        seconds = time.perf_counter() - started
        self._rest_metrics.observe(scope["method"], way.path, status, seconds)
        self._model_metrics.observe(status, seconds)
        if self._runtime.loaded:
            self._runtime.plane.statistics.count(status, seconds, problems)

    async def _answer(self, way: Way, scope: Scope, receive: Receive) -> bytes:
        if scope["method"] != "POST":
            raise refuse(405, Code.WRONG_METHOD, f"{way.path} takes POST")
        plane = self._runtime.plane
        # A request whose body is not here yet has nobody wait for it.
        if self._in_flight() - self._intake.waiting > plane.limits.max_waiting:
            raise refuse(503, Code.OVERLOADED, "too many requests are waiting; try again")
        headers: Headers = dict(scope["headers"])
        body = await self._intake.read(headers, receive, plane.limits)
        request = way.decode(plane.decoder, body, headers)
        outputs = await plane.predict(request, _deadline(headers, request))
        return way.encode(plane.encoder, request, outputs)

    async def _respond(self, scope: Scope, send: Send, status: int, payload: bytes) -> None:
        headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(payload))]
        if self._runtime.loaded:
            headers.append((b"assay-model", self._runtime.plane.badge.encode()))
        if self._runtime.draining:  # clients and proxies move away before the connection is cut
            headers.append((b"connection", b"close"))
        if status == 503:
            headers.append((b"retry-after", b"1"))
        elif status == 405:
            headers.append((b"allow", b"POST"))
        for name, value in scope["headers"]:
            if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                headers.append((name, value))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": payload})


def unknown_model(runtime: AssayRuntime, name: str) -> Refusal:
    """There is one model here, in one version, and the request names another."""
    if name != runtime.name:
        return refuse(404, Code.UNKNOWN_MODEL, f"this server serves {runtime.name!r} only")
    return refuse(
        404, Code.UNKNOWN_VERSION, f"this server serves version {runtime.version} of {name!r} only"
    )


def _expect_json(headers: Headers) -> None:
    sent = headers.get(b"content-type", JSON)
    if sent.split(b";", 1)[0].strip().lower() != JSON:
        raise refuse(
            415, Code.UNSUPPORTED_MEDIA_TYPE, "send the header Content-Type: application/json"
        )


def _deadline(headers: Headers, request: Request) -> float | None:
    """When the client stops waiting, on the loop's clock; Triton's and Envoy's way to say it."""
    seconds = []
    if request.timeout_us is not None:
        seconds.append(request.timeout_us / 1e6)
    envoy = headers.get(b"x-envoy-expected-rq-timeout-ms", b"")
    if envoy.isdigit() and len(envoy) < 10:
        seconds.append(int(envoy) / 1e3)
    return asyncio.get_running_loop().time() + min(seconds) if seconds else None
