"""Start a bundle and measure it: equality on every way in, latency, memory, start-up.

The registry's gates run this as a process and read its report.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from pydantic import BaseModel, ConfigDict

from serving.bundle import Bundle
from serving.clients import (
    Client,
    GrpcClient,
    InvocationsClient,
    PredictClient,
    RestClient,
    RowsClient,
)
from serving.compare import Difference, compare
from serving.plane import PYFUNC_TOLERANCE
from serving.process import running

BATCH = 500  # rows a request while comparing
TIMED_REQUESTS = 300
WARM_UP = 20


class Encoding(BaseModel):
    """How far one way's answers are from the pipeline's."""

    model_config = ConfigDict(frozen=True)

    rows: int
    label_flips: int
    largest_difference: float


class Report(BaseModel):
    """What was measured on one started bundle; an answer that never came is infinitely far."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    engine: str
    tolerance: float
    encodings: dict[str, Encoding]
    start_seconds: float
    latency_ms: dict[str, float]
    """One-row V2 REST requests on one connection, one after the other."""
    memory_mb: dict[str, float]
    requests: int
    errors: int


def probe(
    bundle: Bundle, rows: Sequence[Mapping[str, Any]], expected: Mapping[str, Sequence[Any]]
) -> Report:
    """Ask a started bundle for these rows on every way, and compare with the expected answers."""
    contract = bundle.artifact.contract
    name = bundle.manifest.model_name
    tolerance = (
        bundle.artifact.parity.tolerance if bundle.manifest.engine == "onnx" else PYFUNC_TOLERANCE
    )
    with running(bundle.folder) as server, httpx.Client(base_url=server.rest, timeout=60) as http:
        rest = RestClient(http, name, contract)
        ways: list[Client] = [
            rest,
            RowsClient(http, name, contract),
            PredictClient(http, name, contract),
            InvocationsClient(http, name, contract),
            GrpcClient(server.grpc, name, contract),
        ]
        encodings: dict[str, Encoding] = {}
        requests = errors = 0
        for way in ways:
            difference, sent, failed = _compare(bundle, way, rows, expected)
            requests += sent
            errors += failed
            encodings[way.name] = Encoding(
                rows=difference.rows,
                label_flips=difference.label_flips,
                largest_difference=difference.largest,
            )
        latencies = _time(rest, rows)
        return Report(
            engine=bundle.manifest.engine,
            tolerance=tolerance,
            encodings=encodings,
            start_seconds=server.start_seconds,
            latency_ms={f"p{p}": float(np.percentile(latencies, p)) for p in (50, 95, 99)},
            memory_mb={"peak": server.peak_memory_mb()},
            requests=requests + len(latencies),
            errors=errors,
        )


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Row documents from a Parquet file, exactly: null for missing, ISO 8601 for datetimes."""
    import pandas as pd

    table = pd.read_parquet(path).astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _compare(
    bundle: Bundle,
    way: Client,
    rows: Sequence[Mapping[str, Any]],
    expected: Mapping[str, Sequence[Any]],
) -> tuple[Difference, int, int]:
    contract = bundle.artifact.contract
    flips, largest, sent, failed = 0, 0.0, 0, 0
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        sent += 1
        wanted = {name: values[part] for name, values in expected.items()}
        try:
            difference = compare(contract, wanted, way.infer(rows[part]))
        except Exception:  # noqa: BLE001 - whatever a client raises, these rows were not answered
            failed += 1
            difference = Difference(len(rows[part]), len(rows[part]), float("inf"))
        flips += difference.label_flips
        largest = max(largest, difference.largest)
    return Difference(len(rows), flips, largest), sent, failed


def _time(rest: RestClient, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Milliseconds of one-row requests, after a few that do not count."""
    latencies = []
    for number in range(WARM_UP + TIMED_REQUESTS):
        row = rows[number % len(rows)]
        started = time.perf_counter()
        rest.infer([row])
        latencies.append((time.perf_counter() - started) * 1000)
    return latencies[WARM_UP:]
