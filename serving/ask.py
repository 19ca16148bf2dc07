"""Ask a bundle as its clients would: start it, send golden rows over REST and gRPC, stop it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from serving.bundle import Bundle
from serving.clients import Client, GrpcClient, RestClient
from serving.process import running


@dataclass(frozen=True)
class Asked:
    """Golden rows with their true values, and what the server answered on each way."""

    rows: Sequence[Mapping[str, Any]]
    actual: Sequence[Any]
    answers: Mapping[str, Sequence[Any]]
    """Predictions by the name of the way."""
    url: str
    model: str


def ask(bundle: Bundle, count: int) -> Asked:
    """Ask for the first `count` golden rows over REST and gRPC; the server is gone afterwards."""
    with running(bundle.folder) as server:
        return ask_server(bundle, count, server.rest, server.grpc)


def ask_server(bundle: Bundle, count: int, rest: str, grpc: str) -> Asked:
    """Ask a server of this bundle that runs already."""
    golden = bundle.artifact.golden
    rows = golden.rows[:count]
    contract = bundle.artifact.contract
    with httpx.Client(base_url=rest) as http:
        clients: list[Client] = [
            RestClient(http, bundle.manifest.model_name, contract),
            GrpcClient(grpc, bundle.manifest.model_name, contract),
        ]
        answers = {client.name: client.infer(rows)["prediction"] for client in clients}
        model = http.get("/health").json()["model"]
    return Asked(
        rows=rows,
        actual=golden.actual[:count],
        answers=answers,
        url=rest,
        model=f"{model['name']} version {model['version']}, {model['engine']} engine",
    )
