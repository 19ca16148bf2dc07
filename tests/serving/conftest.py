"""Servers of the trained models: real MLServer processes on free ports."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from registry.contract import Contract
from serving.bundle import Bundle
from serving.process import Server, running


@dataclass(frozen=True)
class Serving:
    """A server that is ready, and what it serves."""

    server: Server
    bundle: Bundle

    @property
    def rest(self) -> str:
        return self.server.rest

    @property
    def grpc(self) -> str:
        return self.server.grpc

    @property
    def name(self) -> str:
        return self.bundle.manifest.model_name

    @property
    def version(self) -> str:
        return str(self.bundle.manifest.version)

    @property
    def contract(self) -> Contract:
        return self.bundle.artifact.contract


@pytest.fixture(scope="session")
def income_server(income_bundle: Bundle) -> Iterator[Serving]:
    with running(income_bundle.folder) as server:
        yield Serving(server, income_bundle)


@pytest.fixture(scope="session")
def income_pyfunc_server(income_pyfunc_bundle: Bundle) -> Iterator[Serving]:
    with running(income_pyfunc_bundle.folder) as server:
        yield Serving(server, income_pyfunc_bundle)


@pytest.fixture(scope="session")
def house_server(house_bundle: Bundle) -> Iterator[Serving]:
    with running(house_bundle.folder) as server:
        yield Serving(server, house_bundle)


@pytest.fixture
def http(income_server: Serving) -> Iterator[httpx.Client]:
    """One connection to the income server."""
    with httpx.Client(base_url=income_server.rest, timeout=10) as client:
        yield client
