"""Laws of a started server: its answers are the pipeline's, and no request makes it fail."""

import http.client
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from registry.contract import Contract
from tests.serving.cases_models import Model
from tests.serving.conftest import Serving
from tests.serving.tables import REST, Row, Rows, dump, messages, tables, tensors
from tests.serving.test_properties import nibble, rearrange
from tests.serving.test_protocol import predicted


class Client:
    """One REST connection, which stays open, and one gRPC channel."""

    def __init__(self, serving: Serving, channel: grpc.Channel) -> None:
        self.serving = serving
        self.name = serving.name
        address = urlsplit(serving.rest)
        self.connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=20
        )
        self.channel = channel
        self.stub = GRPCInferenceServiceStub(channel)

    def post(self, path: str, content_type: str, body: bytes) -> tuple[int, Any]:
        path = f"/v2/models/{self.name}/infer" if path == "infer" else path
        before = self.connection.sock
        self.connection.request("POST", path, body, {"Content-Type": content_type})
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        assert self.connection.sock is not None
        assert before is None or self.connection.sock is before
        return response.status, answer


@pytest.fixture(scope="module", params=["income_server", "house_server"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    serving = request.getfixturevalue(request.param)
    with grpc.insecure_channel(serving.grpc) as channel:
        yield Client(serving, channel)


def frame(contract: Contract, rows: Rows) -> pd.DataFrame:
    """The rows as the pipeline was trained on them."""
    dtypes = {"long": "int64", "double": "float64", "string": "object"}
    return pd.DataFrame(
        {
            column.name: pd.Series([row[column.name] for row in rows], dtype=dtypes[column.type])
            for column in contract.columns
        }
    )


def test_served_answers_are_the_pipelines_however_a_table_is_written(client: Client) -> None:
    contract = client.serving.contract
    folder = client.serving.bundle.artifact.folder
    pipeline = mlflow.pyfunc.load_model(str(folder)).get_raw_model()

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=tables(contract, 4), data=st.data())
    def law(rows: Rows, data: Any) -> None:
        expected = pipeline.predict(frame(contract, rows)).tolist()
        document = data.draw(tensors(contract, rows))
        v2 = ("infer", "application/json", dump(document))
        for path, content_type, body in (v2, *(write(rows) for write in REST.values())):
            status, answer = client.post(path, content_type, body)
            if content_type == "text/csv" and status == 400:  # required text that is empty
                assert any("" in row.values() for row in rows)
                continue
            assert status == 200, answer
            close(answer["predictions"] if "predictions" in answer else first(answer), expected)
        for message in messages(contract, rows):
            message.model_name = client.name
            close(predicted(client.stub.ModelInfer(message)), expected)

    law()


def first(answer: Any) -> Any:
    """The predictions of a V2 answer."""
    assert answer["outputs"][0]["name"] == "prediction"
    return answer["outputs"][0]["data"]


def close(answered: Sequence[Any], expected: Sequence[Any]) -> None:
    """Labels are equal; numbers as close as parity promises."""
    if isinstance(expected[0], float):
        np.testing.assert_allclose(answered, expected, rtol=1e-5)
    else:
        assert answered == expected


def mutated(client: Client, rng: random.Random) -> tuple[str, str, bytes]:
    """A request of any way with something wrong, mostly."""
    golden = client.serving.bundle.artifact.golden.rows
    rows: list[Row] = [dict(golden[rng.randrange(len(golden))]) for _ in range(rng.randint(1, 3))]
    model = Model(client.name, client.serving.contract, tuple(rows))
    ways = [write(rows) for write in REST.values()]
    ways.append(("infer", "application/json", dump(model.tensors())))
    path, content_type, body = rng.choice(ways)
    if content_type == "application/json" and rng.random() < 0.6:
        return path, content_type, dump(rearrange(json.loads(body), rng))
    return path, content_type, nibble(body, rng)


def bombard(client: Client, requests: int, seed: int) -> int:
    """Send mutated requests; how many were answered with 200. Anything but 200 and 4xx fails."""
    rng = random.Random(seed)
    answered = 0
    for _ in range(requests):
        path, content_type, body = mutated(client, rng)
        status, answer = client.post(path, content_type, body)
        assert status == 200 or 400 <= status < 500, (path, body)
        assert status == 200 or answer.keys() == {"error", "problems"}
        answered += status == 200
    return answered


def test_mutated_requests_never_make_it_fail(client: Client) -> None:
    assert 0 < bombard(client, 500, seed=1) < 500


def test_mutated_messages_never_make_it_fail(client: Client) -> None:
    rng = random.Random(2)
    whole = [row for row in client.serving.bundle.artifact.golden.rows if None not in row.values()]
    originals = []
    for request in messages(client.serving.contract, whole[:2]):
        request.model_name = client.name
        originals.append(request.SerializeToString())
    infer = client.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    codes: Counter[grpc.StatusCode] = Counter()
    refused: Counter[str] = Counter()
    for _ in range(1000):
        call = infer.future(nibble(rng.choice(originals), rng), timeout=10)
        codes[call.code()] += 1
        if call.code() != grpc.StatusCode.OK:
            refused.update(problem["code"] for problem in json.loads(call.details())["problems"])
    assert codes.keys() == {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
    }
    assert refused["malformed_message"] > 10
    assert len(refused) > 5


@pytest.mark.slow
@pytest.mark.parametrize("client", ["income_server"], indirect=True)
def test_ten_thousand_mutated_requests_leave_memory_flat(client: Client) -> None:
    bombard(client, 2000, seed=3)
    before = resident_mb(client.serving.server.process.pid)
    bombard(client, 10_000, seed=4)
    assert resident_mb(client.serving.server.process.pid) - before < 5


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024 / 1e6
