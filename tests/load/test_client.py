"""The model of a client: its requests are what they say, and no wrong answer passes for right."""

import json
from typing import Any

import pytest

from registry.contract import Contract
from serving.bundle import Bundle
from serving.clients import PredictClient, RestClient, grpc_request, predict_answers, v2_answers
from serving.decode import Decoder, Limits, Request
from serving.encode import Encoder
from serving.judge import Judge, Kind, Reply
from serving.load import UNSEEN, Case, Recipe, Workload, encode_predict, encode_v2, mistakes
from serving.plane import load_engine
from serving.problems import Code, Refusal, refuse

RECIPE = Recipe({1: 0.7, 5: 0.3}, altered=0.5, invalid=0.2)


@pytest.fixture(scope="module")
def workload(bundle: Bundle) -> Workload:
    return Workload(bundle, RECIPE)


@pytest.fixture(scope="module")
def server(bundle: Bundle) -> "Server":
    return Server(bundle)


class Server:
    """What a server does with a body, without a server."""

    def __init__(self, bundle: Bundle) -> None:
        contract = bundle.artifact.contract
        self.decoder = Decoder(contract, Limits(10_000, 2**24))
        self.encoder = Encoder(contract, "income", "1")
        self.engine = load_engine(bundle, bundle.manifest.engine)

    def v2(self, body: bytes) -> Reply:
        return self._reply(lambda: self.decoder.v2_json(body), self.encoder.v2_json, v2_answers)

    def predict(self, body: bytes) -> Reply:
        decode = self.decoder.predict_json
        return self._reply(lambda: decode(body), self.encoder.predict_json, predict_answers)

    def _reply(self, decode: Any, encode: Any, read: Any) -> Reply:
        try:
            request: Request = decode()
        except Refusal as refusal:
            return Reply(refusal.status, refusal.body(), dict)
        body = encode(request, self.engine.predict(request.columns))
        return Reply(200, body, lambda: read(json.loads(body)))


def test_a_right_server_answers_and_refuses_every_request(
    bundle: Bundle, workload: Workload, server: Server
) -> None:
    for way, encode, serve in (
        (RestClient.name, encode_v2, server.v2),
        (PredictClient.name, encode_predict, server.predict),
    ):
        judge = Judge(bundle)
        for case in workload.cases(way, encode):
            outcome = judge.judge(case, serve(case.payload))
            assert outcome.kind is (Kind.REFUSED if case.refusal else Kind.ANSWERED), outcome
            assert outcome.reason is None


def test_requests_are_as_the_recipe_says(workload: Workload) -> None:
    cases = workload.cases(RestClient.name, encode_v2)
    assert 0.1 < sum(case.refusal is not None for case in cases) / len(cases) < 0.3
    assert {case.rows for case in cases} == {1, 5}
    assert {case.refusal for case in cases} == {
        None,
        Code.UNKNOWN_INPUT,
        Code.MISSING_INPUT,
        Code.NULL,
        Code.WRONG_DATATYPE,
    }
    bodies = b"".join(case.payload for case in cases)
    assert UNSEEN.encode() in bodies
    assert b"null" in bodies


def test_the_same_seed_makes_the_same_requests(bundle: Bundle, workload: Workload) -> None:
    def made(maker: Workload) -> list[Case]:
        return maker.cases(PredictClient.name, encode_predict)

    assert made(workload) == made(Workload(bundle, RECIPE))
    assert made(workload) != made(Workload(bundle, RECIPE, seed=1))


TEXT = {"name": "text", "type": "string", "nullable": True}
NUMBER = {"name": "x", "type": "double", "nullable": False}


@pytest.mark.parametrize(
    ("columns", "codes"),
    [
        pytest.param([TEXT], {Code.UNKNOWN_INPUT}, id="one text"),
        pytest.param(
            [NUMBER], {Code.UNKNOWN_INPUT, Code.NULL, Code.WRONG_DATATYPE}, id="one number"
        ),
        pytest.param(
            [TEXT, NUMBER],
            {Code.UNKNOWN_INPUT, Code.MISSING_INPUT, Code.NULL, Code.WRONG_DATATYPE},
            id="both",
        ),
    ],
)
def test_mistakes_are_those_that_a_contract_has_room_for(
    columns: list[dict[str, Any]], codes: set[Code]
) -> None:
    output = {"name": "prediction", "datatype": "FP64", "shape": [-1]}
    contract = Contract.model_validate(
        {"task": "regression", "columns": columns, "outputs": [output]}
    )
    decoder = Decoder(contract, Limits(10, 10_000))
    found = mistakes(contract, [{"text": "words", "x": 1.5}])
    assert {mistake.code for mistake in found} == codes
    for mistake in found:
        for decode, encode in (
            (decoder.v2_json, encode_v2),
            (decoder.predict_json, encode_predict),
        ):
            with pytest.raises(Refusal) as refused:
                decode(encode(mistake.contract, mistake.rows))
            assert mistake.code in {problem.code for problem in refused.value.problems}


def test_grpc_tensors_can_be_made_for_every_mistake(bundle: Bundle) -> None:
    for mistake in mistakes(bundle.artifact.contract, bundle.artifact.golden.rows):
        assert grpc_request(mistake.contract, mistake.rows)


def _answer(workload: Workload, *, valid: bool) -> Case:
    cases = workload.cases(RestClient.name, encode_v2)
    return next(case for case in cases if (case.expected is not None) is valid)


def _document(server: Server, case: Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(server.v2(case.payload).body)
    return found


def _flip(document: dict[str, Any]) -> None:
    labels = document["outputs"][0]["data"]
    labels[0] = "<=50K" if labels[0] == ">50K" else ">50K"


def _nudge(document: dict[str, Any]) -> None:
    document["outputs"][1]["data"][0] += 1e-4


def _lose(document: dict[str, Any]) -> None:
    document["outputs"][0]["data"].pop()


def _empty(document: dict[str, Any]) -> None:
    document["outputs"] = []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(_flip, "wrong answer: 1 of", id="a label"),
        pytest.param(_nudge, "numbers by up to 0.0001", id="a probability"),
        pytest.param(_lose, "wrong answer", id="a row too few"),
        pytest.param(_empty, "unreadable answer: KeyError", id="no outputs"),
    ],
)
def test_a_wrong_answer_fails_even_after_a_right_one(
    bundle: Bundle, workload: Workload, server: Server, damage: Any, said: str
) -> None:
    judge, case = Judge(bundle), _answer(workload, valid=True)
    assert judge.judge(case, server.v2(case.payload)).kind is Kind.ANSWERED
    document = _document(server, case)
    damage(document)
    body = json.dumps(document).encode()
    outcome = judge.judge(case, Reply(200, body, lambda: v2_answers(json.loads(body))))
    assert outcome.kind is Kind.FAILED
    assert said in (outcome.reason or "")


BUSY = refuse(503, Code.OVERLOADED, "too many requests are waiting").body()
INCIDENT = refuse(500, Code.INTERNAL_ERROR, "the server failed; incident 1f is in its log").body()
OTHER = refuse(400, Code.MALFORMED_JSON, "what is that").body()


@pytest.mark.parametrize(
    ("valid", "status", "body", "kind", "reason"),
    [
        pytest.param(True, 503, BUSY, Kind.OVERLOADED, None, id="too much to do"),
        pytest.param(False, 503, BUSY, Kind.OVERLOADED, None, id="even to refuse"),
        pytest.param(
            True, 500, INCIDENT, Kind.FAILED, "status 500: the server failed", id="an incident"
        ),
        pytest.param(
            False, 500, INCIDENT, Kind.FAILED, "status 500 instead of a refusal", id="or refusing"
        ),
        pytest.param(True, 400, OTHER, Kind.FAILED, "status 400: what is that", id="a refusal"),
        pytest.param(False, 400, OTHER, Kind.FAILED, "instead of a refusal", id="the wrong one"),
        pytest.param(False, 200, b"{}", Kind.FAILED, "was answered", id="an answer to nonsense"),
        pytest.param(True, 0, b"timed out", Kind.FAILED, "status 0: timed out", id="no answer"),
        pytest.param(True, 502, b"<html>", Kind.FAILED, "status 502: <html>", id="a proxy"),
        pytest.param(True, 200, b"not JSON", Kind.FAILED, "unreadable answer", id="garbage"),
    ],
)
def test_what_becomes_of_a_request(
    bundle: Bundle,
    workload: Workload,
    valid: bool,
    status: int,
    body: bytes,
    kind: Kind,
    reason: str | None,
) -> None:
    case = _answer(workload, valid=valid)
    outcome = Judge(bundle).judge(case, Reply(status, body, lambda: v2_answers(json.loads(body))))
    assert outcome.kind is kind
    assert (reason or "") in (outcome.reason or "")
    assert (outcome.reason is None) is (reason is None)
