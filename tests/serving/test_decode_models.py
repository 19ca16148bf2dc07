"""What depends on the model: names, single columns, limits, counts; and what refusals look like."""

import json
import time
from typing import Any

import numpy as np
import pytest

from registry.contract import Column, Contract, Output
from serving.decode import Decoder, Limits
from serving.problems import MOST_BYTES, Refusal
from tests.serving.cases_grpc import message
from tests.serving.cases_models import WIDE
from tests.serving.test_decode import DECODER, dump, problems

PREDICTION = Output(name="prediction", datatype="BYTES", shape=(-1,))


def decoder(*columns: Column, max_rows: int = 10) -> Decoder:
    contract = Contract(task="binary", columns=columns, outputs=(PREDICTION,))
    return Decoder(contract, Limits(max_rows=max_rows, max_bytes=100_000))


TEXT = decoder(Column(name="text", type="string", nullable=False))


def tensor(name: str, data: list[Any], datatype: str = "BYTES") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def refusal(decode: Any, *arguments: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        decode(*arguments)
    return refused.value


@pytest.mark.parametrize("name", ["text", "input-0", "sentences", ""])
def test_a_text_model_takes_one_input_of_any_name(name: str) -> None:
    request = TEXT.v2_json(dump({"inputs": [tensor(name, ["good", "bad: really"])]}))
    assert request.columns["text"].tolist() == ["good", "bad: really"]


def test_a_text_model_takes_documents_in_an_input_called_rows() -> None:
    documents = ['{"text": "good"}', '{"text": "bad"}']
    request = TEXT.v2_json(dump({"inputs": [tensor("rows", documents)]}))
    assert request.columns["text"].tolist() == ["good", "bad"]
    assert problems(refusal(TEXT.v2_json, dump({"inputs": [tensor("rows", ["good"])]}))) == [
        ("rows", "malformed_json")
    ]


def test_a_text_model_takes_no_second_input_of_any_name() -> None:
    body = dump({"inputs": [tensor("a", ["good"]), tensor("b", ["bad"])]})
    assert problems(refusal(TEXT.v2_json, body)) == [
        ("a", "unknown_input"),
        ("b", "unknown_input"),
        ("text", "missing_input"),
    ]


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_a_model_of_one_column_takes_bare_values_at_invocations(form: str) -> None:
    request = TEXT.invocations(dump({form: ["good", "bad"]}), "application/json")
    assert request.columns["text"].tolist() == ["good", "bad"]


def test_a_column_named_rows_is_a_column() -> None:
    model = decoder(
        Column(name="rows", type="string", nullable=False),
        Column(name="n", type="long", nullable=False),
    )
    body = dump({"inputs": [tensor("rows", ['{"n": 1}']), tensor("n", [1], "INT64")]})
    assert model.v2_json(body).columns["rows"].tolist() == ['{"n": 1}']
    alone = dump({"inputs": [tensor("rows", ['{"rows": "x", "n": 1}'])]})
    assert problems(refusal(model.v2_json, alone)) == [("n", "missing_input")]


def test_one_row_may_be_bare_values_by_column_at_invocations() -> None:
    row = dict(WIDE.rows[0])
    request = DECODER.invocations(dump({"inputs": row}), "application/json")
    assert request.rows == 1
    assert request.columns["count"].tolist() == [row["count"]]


def test_columns_come_in_the_contracts_order_and_in_their_own_types() -> None:
    document = WIDE.tensors()
    document["inputs"].reverse()
    columns = DECODER.v2_json(dump(document)).columns
    assert list(columns) == [column.name for column in WIDE.contract.columns]
    assert {name: str(column.dtype) for name, column in columns.items()} == {
        "flag": "bool",
        "maybe": "object",
        "small": "int32",
        "count": "int64",
        "ratio": "float32",
        "amount": "float64",
        "price": "float64",
        "city": "object",
        "note": "object",
        "when": "datetime64[us]",
        "until": "datetime64[us]",
        "blob": "object",
    }


@pytest.mark.parametrize("copies", [1, 2, 50])
def test_rows_with_nulls_and_unseen_categories_are_counted(copies: int) -> None:
    whole, other = (dict(row) for row in WIDE.rows)
    gaps = [{**whole, name: None} for name in ("maybe", "ratio", "amount", "note", "until", "blob")]
    strange = {**other, "city": "Atlantis"}
    rows = [*gaps, whole, strange, {**whole, "city": ""}] * copies
    for some in (rows, *([row] for row in rows[:9])):
        request = DECODER.predict_json(dump({"rows": some}))
        assert request.missing_rows == sum(None in row.values() for row in some)
        unseen = sum(row["city"] == "Atlantis" for row in some)
        assert request.unknown_categories == ({"city": unseen} if unseen else {})


def test_all_problems_are_reported_at_once() -> None:
    document = WIDE.tensors()
    by_name = {tensor["name"]: tensor for tensor in document["inputs"]}
    by_name["count"]["data"] = [1.5, 2]
    by_name["price"]["data"] = [None, 2]
    by_name["city"]["name"] = "citty"
    document["id"] = 7
    refused = refusal(DECODER.v2_json, dump(document))
    assert problems(refused) == [
        (None, "wrong_id"),
        ("count", "lossy_number"),
        ("price", "null"),
        ("citty", "unknown_input"),
        ("city", "missing_input"),
    ]
    assert "did you mean city?" in refused.text()
    assert refused.error.startswith("5 problems; the first: ")


@pytest.mark.parametrize(("given", "reported"), [("n" * 80, "n" * 80), ("n" * 81, "n" * 79 + "…")])
def test_long_names_are_cut(given: str, reported: str) -> None:
    refused = refusal(DECODER.v2_json, dump({"inputs": [tensor(given, [1])]}))
    assert json.loads(refused.body())["problems"][0]["input"] == reported


def test_the_row_that_does_not_fit_is_named() -> None:
    rows = [*WIDE.rows, {**WIDE.rows[0], "count": "x"}]
    (problem,) = refusal(DECODER.predict_json, dump({"rows": rows})).problems
    assert (problem.input, problem.message[:6]) == ("count", "row 2:")


def test_rows_and_bytes_have_limits() -> None:
    model = decoder(Column(name="n", type="long", nullable=False), max_rows=3)
    assert model.predict_json(dump({"rows": [{"n": 1}] * 3})).rows == 3
    for body in (
        {"rows": [{"n": 1}] * 4},
        {"rows": [{}] * 4},
    ):
        refused = refusal(model.predict_json, dump(body))
        assert (refused.status, problems(refused)) == (413, [(None, "too_many_rows")])
    for refused in (
        refusal(model.v2_json, dump({"inputs": [tensor("n", [1] * 4, "INT64")]})),
        refusal(
            model.v2_json, dump({"inputs": [{**tensor("n", [1], "INT64"), "shape": [10**12]}]})
        ),
        refusal(model.invocations, b"n\n1\n2\n3\n4\n", "text/csv"),
    ):
        assert (refused.status, problems(refused)) == (413, [(None, "too_many_rows")])
    assert model.predict_json(dump({"rows": [{"n": 1}]}).ljust(100_000)).rows == 1
    for decode in (model.v2_json, model.predict_json, lambda b: model.invocations(b, "text/csv")):
        refused = refusal(decode, b" " * 100_001)
        assert (refused.status, problems(refused)) == (413, [(None, "too_large")])


HUGE = 20_000
ODD = [
    pytest.param({"inputs": [tensor("x" * 10**5, [1])]}, id="long-name"),
    pytest.param({"inputs": [tensor(f"\u2028\x00é🏠{n}", [1]) for n in range(HUGE)]}, id="names"),
    pytest.param(
        {"inputs": [tensor(f"\u2028\x00é🏠{n}", [1]) for n in range(99)]}, id="some-names"
    ),
    pytest.param({"inputs": [tensor("count", [1])] * HUGE}, id="duplicates"),
    pytest.param({"inputs": [tensor("count", [1])] * 99}, id="some-duplicates"),
    pytest.param({"inputs": [], "outputs": [{"name": "é" * 500}] * 99}, id="some-outputs"),
    pytest.param({"inputs": [], **{f"\x1b[31m{n}": n for n in range(99)}}, id="some-fields"),
    pytest.param({"inputs": [7] * HUGE}, id="no-tensors"),
    pytest.param({"inputs": [], "outputs": [{"name": "é" * 500}] * HUGE}, id="outputs"),
    pytest.param({"inputs": [], **{f"\x1b[31m{n}": n for n in range(HUGE)}}, id="fields"),
    pytest.param({"inputs": [], "id": "i" * 10**6}, id="id"),
    pytest.param({"inputs": [], "parameters": {"content_type": "p" * 10**6}}, id="parameters"),
    pytest.param({"inputs": [tensor("rows", ["{}x"] * 5000)]}, id="rows"),
    pytest.param(
        {"inputs": [tensor("rows", [json.dumps({f"k{n}": n}) for n in range(5000)])]}, id="keys"
    ),
]


@pytest.mark.parametrize("document", ODD)
def test_refusals_stay_small_printable_and_quick(document: Any) -> None:
    decoder = Decoder(WIDE.contract, Limits(max_rows=10_000, max_bytes=2**27))
    body = dump(document)
    started = time.process_time()
    refused = refusal(decoder.v2_json, body)
    assert time.process_time() - started < 1
    text = refused.body()
    assert len(text) <= MOST_BYTES
    assert text.decode("ascii").isprintable()
    answer = json.loads(text)
    assert answer.keys() == {"error", "problems"}
    assert all(p.keys() == {"input", "code", "message"} for p in answer["problems"])
    everything = "".join([answer["error"], *(p["message"] for p in answer["problems"])])
    assert everything.isprintable()
    if refused.unlisted:
        assert answer["problems"][-1]["code"] == "more_problems"
        left = int(answer["problems"][-1]["message"].split()[0])
        assert left + len(answer["problems"]) - 1 == len(refused.problems) + refused.unlisted


SECRETS = {
    "flag": "s3cret",
    "maybe": "s3cret",
    "small": "s3cret",
    "count": 77177.5,
    "ratio": "s3cret",
    "amount": 7.7177e300,
    "price": "s3cret",
    "city": 77177,
    "note": 77177,
    "when": "s3cret",
    "until": "s3cret",
    "blob": "s3cret!",
}


def test_refusals_never_repeat_a_value() -> None:
    for rows in ([SECRETS], [dict(WIDE.rows[0]), SECRETS]):
        refused = refusal(DECODER.predict_json, dump({"rows": rows}))
        assert len(refused.problems) == len(WIDE.contract.columns)
        assert "s3cret" not in refused.text()
        assert "7717" not in refused.text()


def test_a_huge_shape_with_little_data_costs_nothing() -> None:
    model = decoder(Column(name="n", type="long", nullable=False), max_rows=10**12)
    body = dump({"inputs": [{**tensor("n", [1], "INT64"), "shape": [10**12]}]})
    assert problems(refusal(model.v2_json, body)) == [("n", "wrong_shape")]


def test_many_rows_are_read_as_one_row_is() -> None:
    """The step that reads whole lists agrees with the one that reads single values."""
    numbers = [0, -1, 7, 2**24, 2**24 + 1, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63]
    numbers += [0.0, -0.0, 0.1, 1e-320, 65504.0, 1e30, 3.4028234663852886e38, 1e39, 2.0**53, None]
    forms = ["FP16", "FP32", "FP64", *(f"{u}INT{n}" for u in ("", "U") for n in (8, 16, 32, 64))]
    for name in ("small", "count", "ratio", "amount", "price"):
        column = next(column for column in WIDE.contract.columns if column.name == name)
        model = decoder(column)
        for form in forms:
            for number in numbers:
                one = outcome(model, name, form, [number])
                assert outcome(model, name, form, [number, number]) == one, (name, form, number)
                assert outcome(model, name, form, [number, 1]) == one, (name, form, number)


def outcome(model: Decoder, name: str, form: str, data: list[Any]) -> tuple[Any, ...]:
    try:
        request = model.v2_json(dump({"inputs": [tensor(name, data, form)]}))
    except Refusal as refused:
        return ("refused", refused.problems[0].code)
    first = request.columns[name][0]
    return (first.tobytes(), np.signbit(first))


def test_what_a_request_says_beside_its_inputs_is_read() -> None:
    names = ("probability", "prediction")
    asked = {
        **WIDE.tensors(),
        "id": "é 7",
        "outputs": [{"name": name} for name in names],
        "parameters": {"timeout": 1500},
    }
    for request in (DECODER.v2_json(dump(asked)), DECODER.v2_grpc(message(asked))):
        assert (request.id, request.outputs, request.timeout_us) == ("é 7", names, 1500)
    empty = {**WIDE.tensors(), "outputs": [], "parameters": {"timeout": 0}}
    for request in (DECODER.v2_json(dump(empty)), DECODER.v2_grpc(message(empty))):
        assert (request.id, request.outputs, request.timeout_us) == (None, None, None)
