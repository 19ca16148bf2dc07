"""A bundle to load, and clients that look on while something else goes wrong."""

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.bundle import MODEL_SETTINGS, Bundle, write_json
from serving.clients import Client, GrpcClient, PredictClient, RestClient
from serving.compare import compare


@pytest.fixture(scope="session")
def bundle(income_bundle: Bundle) -> Bundle:
    """What these tests load."""
    return income_bundle


def changed(
    bundle: Bundle, folder: Path, implementation: str | None = None, **limits: Any
) -> Bundle:
    """The bundle with another runtime or other limits: its settings may be edited."""
    copy = Path(shutil.copytree(bundle.folder, folder / "changed"))
    settings = json.loads((copy / MODEL_SETTINGS).read_text())
    settings["parameters"]["extra"]["limits"].update(limits)
    settings["implementation"] = implementation or settings["implementation"]
    write_json(copy / MODEL_SETTINGS, settings)
    return Bundle(copy)


@dataclass
class Seen:
    """What well-behaved clients saw, by the name of their way."""

    answered: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """Answers that differ, refusals, lost connections."""
    slowest: float = 0.0
    """Seconds."""


@contextlib.contextmanager
def bystanders(bundle: Bundle, rest: str, grpc: str) -> Iterator[Seen]:
    """Ask on every way meanwhile, one request after the other, and look at each answer."""
    seen = Seen()
    over = threading.Event()
    contract, name = bundle.artifact.contract, bundle.manifest.model_name
    with httpx.Client(base_url=rest, timeout=20) as http:
        ways: list[Client] = [
            RestClient(http, name, contract),
            PredictClient(http, name, contract),
            GrpcClient(grpc, name, contract),
        ]
        threads = [
            threading.Thread(target=_ask, args=(bundle, way, over, seen), name=way.name)
            for way in ways
        ]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            over.set()
            for thread in threads:
                thread.join()


def _ask(bundle: Bundle, way: Client, over: threading.Event, seen: Seen) -> None:
    golden, contract = bundle.artifact.golden, bundle.artifact.contract
    tolerance = bundle.artifact.parity.tolerance
    seen.answered[way.name] = 0
    while not over.wait(0.002):
        number = seen.answered[way.name] % len(golden.rows)
        expected = {name: [values[number]] for name, values in golden.outputs.items()}
        started = time.monotonic()
        try:
            answers = way.infer([golden.rows[number]])
        except Exception as error:  # noqa: BLE001 - whatever it is, this client was not served
            seen.wrong.append(f"{way.name}: {error!r} {error}")
            continue
        finally:
            seen.slowest = max(seen.slowest, time.monotonic() - started)
        if not compare(contract, expected, answers).within(tolerance):
            seen.wrong.append(f"{way.name}: row {number}")
        seen.answered[way.name] += 1
