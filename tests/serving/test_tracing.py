"""Tracing goes on through the door: a real OTLP collector gets the spans of what was answered."""

import concurrent.futures
import time
from collections.abc import Iterator

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)

from serving.bundle import Bundle
from serving.process import running

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the trace id and the name of every span it is sent."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str]] = []

    def Export(  # noqa: N802 - the protocol's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        self.spans += [
            (span.trace_id.hex(), span.name)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("MLSERVER_TRACING_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield collector
    server.stop(None)


def test_a_traced_request_leaves_one_span_in_its_callers_trace(
    collector: Collector, income_bundle: Bundle
) -> None:
    row = income_bundle.artifact.golden.rows[0]
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    with running(income_bundle.folder) as server:
        answer = httpx.post(server.rest + "/predict", json={"rows": [row]}, headers=headers)
        assert answer.status_code == 200
        end = time.monotonic() + 10
        while not collector.spans and time.monotonic() < end:
            time.sleep(0.05)
    requests = [name for trace, name in collector.spans if trace == TRACE]
    assert sum(name.startswith("POST") and "http" not in name for name in requests) == 1
