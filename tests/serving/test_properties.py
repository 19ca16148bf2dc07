"""Laws: what was written is what is understood; and whatever is sent, nothing is guessed at."""

import base64
import contextlib
import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc.service_pb2 import ModelInferRequest

from serving.decode import Decoder, Limits, Request
from serving.problems import Refusal
from tests.serving.cases_models import WIDE
from tests.serving.tables import REST, Row, Rows, dump, messages, tables, tensors

DECODER = Decoder(WIDE.contract, Limits(max_rows=100, max_bytes=2**20))
quick = partial(settings, deadline=None, suppress_health_check=list(HealthCheck))


def understood(request: Request) -> list[Row]:
    """The rows that a decoder read, in the contract's order."""
    columns = {
        name: [None if isinstance(v, float) and math.isnan(v) else v for v in column.tolist()]
        for name, column in request.columns.items()
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def decode(path: str, content_type: str, body: bytes) -> Request:
    if path == "/predict":
        return DECODER.predict_json(body)
    if path == "/invocations":
        return DECODER.invocations(body, content_type)
    return DECODER.v2_json(body)


def without_empty_text(rows: Rows) -> list[Row]:
    """CSV writes empty text and null the same; where text is required that is no table."""
    return [
        {name: (None if value in ("", b"") else value) for name, value in row.items()}
        for row in rows
    ]


@quick(max_examples=100)
@given(rows=tables(WIDE.contract), data=st.data())
def test_a_table_is_understood_the_same_however_it_is_written(rows: Rows, data: Any) -> None:
    for name, write in REST.items():
        if name != "csv":
            assert understood(decode(*write(rows))) == rows, name
    if all(row["city"] for row in rows):
        assert understood(decode(*REST["csv"](rows))) == without_empty_text(rows)
    document = data.draw(tensors(WIDE.contract, rows))
    assert understood(DECODER.v2_json(dump(document))) == rows
    for message in messages(WIDE.contract, rows):
        assert understood(DECODER.v2_grpc(message)) == rows


# --- mutations, without a server -------------------------------------------------------------


def claimed(body: bytes) -> dict[str, list[Any]]:
    """What a V2 body says about the columns, read naively; duplicate keys are an error."""

    def unique(pairs: list[tuple[str, Any]]) -> Row:
        assert len(dict(pairs)) == len(pairs), "a duplicate key was accepted"
        return dict(pairs)

    said = {}
    for tensor in json.loads(body, object_pairs_hook=unique)["inputs"]:
        values = [v[0] if isinstance(v, list) else v for v in tensor["data"]]
        if tensor["datatype"] in ("FP32", "FP16"):
            dtype = {"FP32": np.float32, "FP16": np.float16}[tensor["datatype"]]
            values = [None if v is None else float(dtype(v)) for v in values]
        said[tensor["name"]] = values
    return said


def convert(column_type: str, value: Any) -> Any:
    if value is None:
        return None
    if column_type == "datetime":
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    if column_type == "binary":
        return base64.b64decode(value)
    return float(np.float32(value)) if column_type == "float" else value


def nibble(body: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, dropped, put in or repeated."""
    mutated = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(mutated) + 1)
        action = rng.randrange(5)
        if action == 0:
            mutated[at : at + 1] = bytes([rng.randrange(256)])
        elif action == 1:
            mutated[at : at + 1] = rng.choice(b'0123456789-+.eE"[]{},:\\ nulltrue').to_bytes()
        elif action == 2:
            del mutated[at : at + rng.randint(1, 3)]
        else:
            start = rng.randrange(len(mutated) + 1)
            mutated[at:at] = mutated[start : start + rng.randint(1, 30)]
    return bytes(mutated)


ATOMS = [
    *(None, True, 0, 1, -1, 1.5, 1e300, 2**53 + 1, 2**63, "", "x", "2026-01-01", "AP8=", [], {}),
    *([1], [[1]], {"a": 1}, "rows", "count", "FP32", "INT64", "UINT8", "BYTES", [2, 1], [2]),
]
TYPED: list[Row] = [
    {
        **row,
        **{name: datetime.fromisoformat(row[name]) for name in ("when", "until")},
        "blob": base64.b64decode(row["blob"]),
    }
    for row in WIDE.rows
]
KEYS = ["x", "name", "data", "parameters", "content_type", "outputs", "id", "rows", "timeout"]


def rearrange(document: Any, rng: random.Random) -> Any:
    """A few values of a document replaced, dropped, put in or repeated."""
    document = json.loads(json.dumps(document))
    for _ in range(rng.randint(1, 3)):
        at, key = rng.choice(list(places(document)) or [({}, "x")])
        atom = json.loads(json.dumps(rng.choice(ATOMS)))
        action = rng.randrange(4)
        if action == 0 and at:
            del at[key]
        elif action == 1 and isinstance(at, list):
            at.insert(key, atom)
        elif action == 1:
            at[rng.choice(KEYS)] = atom
        else:
            at[key] = atom
    return document


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a document with each of its keys or positions."""
    if isinstance(document, dict | list):
        keys = document if isinstance(document, dict) else range(len(document))
        for key in list(keys):
            yield document, key
            yield from places(document[key])


def whole_request() -> Row:
    outputs = [{"name": "prediction", "parameters": {"binary_data": True}}]
    parameters = {"content_type": "pd", "timeout": 1_000_000}
    return {**WIDE.tensors(), "id": "x", "parameters": parameters, "outputs": outputs}


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_request_is_refused_or_means_what_it_says(seed: int) -> None:
    rng = random.Random(seed)
    request = whole_request()
    body = dump(request)
    accepted = 0
    for turn in range(4000):
        mutated = nibble(body, rng) if turn % 2 else dump(rearrange(request, rng))
        try:
            rows = understood(DECODER.v2_json(mutated))
        except Refusal:
            continue
        accepted += 1
        said = claimed(mutated)
        for column in WIDE.contract.columns:
            values = said.get(column.name, [None] * len(rows))
            means = [convert(column.type, value) for value in values]
            assert [row[column.name] for row in rows] == means, mutated
    assert accepted > 50  # or the mutations are too wild to say anything


@pytest.mark.parametrize("seed", range(2))
def test_mutated_bodies_of_other_ways_are_refused_or_read(seed: int) -> None:
    rng = random.Random(seed)
    ways = [write(TYPED) for write in REST.values()]
    for _ in range(4000):
        path, content_type, body = rng.choice(ways)
        if content_type == "application/json" and rng.random() < 0.5:
            body = dump(rearrange(json.loads(body), rng))
        else:
            body = nibble(body, rng)
        with contextlib.suppress(Refusal):
            decode(path, content_type, body)


@pytest.mark.parametrize("seed", range(2))
def test_mutated_messages_are_refused_or_read(seed: int) -> None:
    rng = random.Random(seed)
    originals = [message.SerializeToString() for message in messages(WIDE.contract, TYPED)]
    read = 0
    for _ in range(10_000):
        message = ModelInferRequest()
        try:
            message.ParseFromString(nibble(rng.choice(originals), rng))
        except DecodeError:
            continue
        read += 1
        with contextlib.suppress(Refusal):
            DECODER.v2_grpc(message)
    assert read > 500
