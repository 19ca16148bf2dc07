"""Requests become columns, or refusals that name what is wrong: every case, without a server."""

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from serving.decode import Decoder, Limits, Request
from serving.problems import Refusal
from tests.serving.cases import TENSORS, Document, TensorCase
from tests.serving.cases_bodies import BODIES, WAYS, BodyCase, WayCase
from tests.serving.cases_documents import DOCUMENTS, DocumentCase
from tests.serving.cases_models import WIDE

LIMITS = Limits(max_rows=10_000, max_bytes=2**20)
DECODER = Decoder(WIDE.contract, LIMITS)


def dump(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def ids(case: Any) -> str:
    return str(case.id)


def values(request: Request) -> list[Document]:
    """The rows that were understood: null is None, datetimes are ISO 8601."""
    columns = {name: [plain(v) for v in c.tolist()] for name, c in request.columns.items()}
    assert {len(column) for column in columns.values()} == {request.rows}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return None if isinstance(value, float) and math.isnan(value) else value


def meant(means: dict[str, Sequence[Any]]) -> list[Document]:
    """What rows should be understood as."""
    rows = WIDE.meaning(means)
    for row in rows:
        if isinstance(row["blob"], str):
            row["blob"] = base64.b64decode(row["blob"])
    return rows


def problems(refusal: Refusal) -> list[tuple[str | None, str]]:
    return [(problem.input, str(problem.code)) for problem in refusal.problems]


@pytest.mark.parametrize("case", TENSORS, ids=ids)
def test_tensors(case: TensorCase) -> None:
    body = dump(WIDE.changed(case))
    if case.code is None:
        assert values(DECODER.v2_json(body)) == meant({case.role: case.values})
        return
    with pytest.raises(Refusal) as refused:
        DECODER.v2_json(body)
    assert refused.value.status == 400
    assert problems(refused.value) == [(WIDE.column(case.role), case.code)]


@pytest.mark.parametrize("case", DOCUMENTS, ids=ids)
def test_documents(case: DocumentCase) -> None:
    body = dump(WIDE.changed(case))
    check(case, lambda: DECODER.v2_json(body), dict(case.means))


@pytest.mark.parametrize("case", BODIES, ids=ids)
def test_bodies(case: BodyCase) -> None:
    body = case.change(dump(WIDE.tensors()))
    check(case, lambda: DECODER.v2_json(body))


@pytest.mark.parametrize("case", WAYS, ids=ids)
def test_other_ways(case: WayCase) -> None:
    body = case.change(WIDE.meaning({}), WIDE.names)
    body = body if isinstance(body, bytes) else dump(body)

    def decode() -> Request:
        if case.path == "/predict":
            return DECODER.predict_json(body)
        return DECODER.invocations(body, case.content_type)

    check(case, decode, dict(case.means))


def check(case: Any, decode: Any, means: dict[str, Sequence[Any]] | None = None) -> None:
    if case.code is None:
        assert values(decode()) == meant(means or {})
        return
    with pytest.raises(Refusal) as refused:
        decode()
    assert refused.value.status == case.status
    found = problems(refused.value)
    assert case.code in [code for _, code in found]
    if case.input is not None:
        assert (WIDE.column(case.input), case.code) in found
