"""gRPC messages, typed and raw, mean what the JSON request means."""

from typing import Any

import pytest

from serving.problems import Refusal
from tests.serving.cases import TENSORS, TensorCase
from tests.serving.cases_documents import DOCUMENTS, DocumentCase
from tests.serving.cases_grpc import MESSAGES, MessageCase, Unsayable, message
from tests.serving.cases_models import WIDE
from tests.serving.test_decode import DECODER, ids, meant, problems, values


def sayable(cases: list[Any]) -> list[Any]:
    """The cases that a message can say, with typed and with raw contents."""
    found = []
    for case in cases:
        for raw in (False, True):
            try:
                request = message(WIDE.changed(case), raw)
            except Unsayable:
                continue
            found.append(pytest.param(case, request, id=f"{case.id}-{'raw' if raw else 'typed'}"))
    return found


@pytest.mark.parametrize(("case", "request_"), sayable(TENSORS))
def test_tensors(case: TensorCase, request_: Any) -> None:
    if case.code is None:
        assert values(DECODER.v2_grpc(request_)) == meant({case.role: case.values})
        return
    with pytest.raises(Refusal) as refused:
        DECODER.v2_grpc(request_)
    assert problems(refused.value) == [(WIDE.column(case.role), case.code)]


@pytest.mark.parametrize(("case", "request_"), sayable(DOCUMENTS))
def test_documents(case: DocumentCase, request_: Any) -> None:
    if case.code is None:
        assert values(DECODER.v2_grpc(request_)) == meant(dict(case.means))
        return
    with pytest.raises(Refusal) as refused:
        DECODER.v2_grpc(request_)
    assert refused.value.status == case.status
    assert case.code in [code for _, code in problems(refused.value)]


@pytest.mark.parametrize("case", MESSAGES, ids=ids)
def test_messages(case: MessageCase) -> None:
    request = message(WIDE.tensors(), case.raw)
    names = [tensor.name for tensor in request.inputs]
    case.change(request, lambda role: names.index(WIDE.column(role)))
    if case.code is None:
        role, means = case.means or ("long", [..., ...])
        decoded = DECODER.v2_grpc(request)
        assert values(decoded) == meant({role: means})
        assert decoded.raw == case.raw
        return
    with pytest.raises(Refusal) as refused:
        DECODER.v2_grpc(request)
    name = None if case.input is None else WIDE.column(case.input)
    assert (name, case.code) in problems(refused.value)


def test_most_cases_are_said_in_messages_too() -> None:
    assert len(sayable(TENSORS)) > 100
    assert len(sayable(DOCUMENTS)) > 50
