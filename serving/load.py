"""The load test's model of a client: what it asks, and what must come back.

Every answer is known beforehand. Golden rows have the trained pipeline's; for rows made out of them
(values of another row, nulls, categories that training never saw) the bundle's own engine is asked
in this process. Requests that break the contract must be refused, for the right reason.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.contract import Column, Contract
from serving.bundle import Bundle
from serving.clients import (
    Answers,
    GrpcClient,
    PredictClient,
    RestClient,
    Row,
    v2_request,
)
from serving.decode import Decoder, Limits
from serving.limits import ServerLimits
from serving.plane import load_engine
from serving.problems import Code

UNSEEN = "a category that training never saw"
ALTERED_ROWS = 300
CASES = 400  # requests by way; users ask them over and over
WAYS = (RestClient.name, GrpcClient.name, PredictClient.name)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What requests are made of."""

    sizes: Mapping[int, float]
    """Rows in a request, with how often it is so."""
    altered: float
    """The share of rows that are not golden ones."""
    invalid: float
    """The share of requests that must be refused."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and either its answers or the reason why it must be refused."""

    number: int
    payload: Any
    """The body for REST, tritonclient's tensors for gRPC."""
    rows: int
    expected: Answers | None
    refusal: Code | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """Rows with their answers by output."""

    rows: Sequence[Row]
    answers: Answers

    def pick(self, numbers: Sequence[int]) -> tuple[list[Row], Answers]:
        answers = {
            name: [values[number] for number in numbers] for name, values in self.answers.items()
        }
        return [self.rows[number] for number in numbers], answers


class Workload:
    """Makes requests for one bundle, the same ones from the same seed."""

    def __init__(self, bundle: Bundle, recipe: Recipe, seed: int = 0) -> None:
        self._contract = bundle.artifact.contract
        self._recipe = recipe
        self._seed = seed
        golden = bundle.artifact.golden
        self._golden = _Known(golden.rows, golden.outputs)
        altered = alter(self._contract, golden.rows, ALTERED_ROWS, random.Random(seed))  # noqa: S311
        self._altered = _Known(altered, _engine_answers(bundle, altered))

    def cases(self, way: str, encode: "Encode") -> list[Case]:
        """Requests for one way; `encode` makes payloads out of a contract and rows."""
        chance = random.Random(f"{self._seed} {way}")  # noqa: S311 - a load test is no secret
        wrong = mistakes(self._contract, self._golden.rows)
        return [
            self._wrong(number, chance.choice(wrong), encode)
            if chance.random() < self._recipe.invalid
            else self._right(number, chance, encode)
            for number in range(CASES)
        ]

    def _right(self, number: int, chance: random.Random, encode: "Encode") -> Case:
        sizes = self._recipe.sizes
        (size,) = chance.choices(list(sizes), list(sizes.values()))
        known = self._altered if chance.random() < self._recipe.altered else self._golden
        rows, expected = known.pick(chance.choices(range(len(known.rows)), k=size))
        return Case(number, encode(self._contract, rows), size, expected)

    def _wrong(self, number: int, mistake: "Mistake", encode: "Encode") -> Case:
        payload = encode(mistake.contract, mistake.rows)
        return Case(number, payload, len(mistake.rows), None, mistake.code)


Encode = Callable[[Contract, Sequence[Row]], Any]


def encode_v2(contract: Contract, rows: Sequence[Row]) -> bytes:
    """The body of a V2 request."""
    return json.dumps(v2_request(contract, rows)).encode()


def encode_predict(_contract: Contract, rows: Sequence[Row]) -> bytes:
    """The body for /predict."""
    return json.dumps({"rows": rows}).encode()


def alter(
    contract: Contract, rows: Sequence[Row], count: int, chance: random.Random
) -> list[dict[str, Any]]:
    """Rows made of two golden ones, with nulls, gaps and unseen categories where the contract
    has room for them."""
    nullable = [column.name for column in contract.columns if column.nullable]
    categorical = [column.name for column in contract.columns if column.categories]
    altered = []
    for _ in range(count):
        one, other = chance.choices(rows, k=2)
        row = {name: chance.choice((one, other)).get(name) for name in one}
        if nullable:
            row[chance.choice(nullable)] = None
        if nullable and chance.random() < 0.5:
            row.pop(chance.choice(nullable), None)
        if categorical and chance.random() < 0.5:
            row[chance.choice(categorical)] = UNSEEN
        altered.append(row)
    return altered


@dataclass(frozen=True, slots=True)
class Mistake:
    """What a client with a wrong idea of the contract would send."""

    contract: Contract
    rows: Sequence[Row]
    code: Code


def mistakes(contract: Contract, rows: Sequence[Row]) -> list[Mistake]:
    """Wrong ideas that the contract leaves room for; the first is there for every contract."""
    row = {column.name: rows[0].get(column.name) for column in contract.columns}
    extra = Column(name="no such input", type="double", nullable=False)
    found = [_mistake(contract, [*contract.columns, extra], row, Code.UNKNOWN_INPUT)]
    required = [column for column in contract.columns if not column.nullable]
    if required and len(contract.columns) > 1:
        others = [column for column in contract.columns if column is not required[0]]
        found.append(_mistake(contract, others, row, Code.MISSING_INPUT))
    if required:
        nothing = {**row, required[0].name: None}
        found.append(_mistake(contract, contract.columns, nothing, Code.NULL))
    numeric = [c for c in contract.columns if c.type in ("integer", "long", "float", "double")]
    if numeric:
        texts = [
            column.model_copy(update={"type": "string"}) if column is numeric[0] else column
            for column in contract.columns
        ]
        words = {**row, numeric[0].name: "a few"}
        found.append(_mistake(contract, texts, words, Code.WRONG_DATATYPE))
    return found


def _mistake(contract: Contract, columns: Sequence[Column], row: Row, code: Code) -> Mistake:
    wrong = contract.model_copy(update={"columns": tuple(columns)})
    sent = {column.name: row.get(column.name, 1.0) for column in columns}
    return Mistake(wrong, [sent], code)


def _engine_answers(bundle: Bundle, rows: Sequence[Row]) -> Answers:
    limits = ServerLimits()
    decoder = Decoder(bundle.artifact.contract, Limits(limits.max_rows, limits.max_bytes))
    request = decoder.predict_json(json.dumps({"rows": rows}).encode())
    outputs = load_engine(bundle, bundle.manifest.engine).predict(request.columns)
    return {name: values.tolist() for name, values in outputs.items()}
