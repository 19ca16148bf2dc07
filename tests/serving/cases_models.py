"""What the cases are tried on: a contract, two of its rows, and both as requests."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.contract import FLOAT32_MAX, Column, Contract, Output
from tests.serving.cases import ROLES, Document, Names, TensorCase
from tests.serving.cases_documents import DocumentCase


@dataclass(frozen=True)
class Model:
    """A contract with two valid rows."""

    name: str
    contract: Contract
    rows: tuple[Document, ...]

    @property
    def names(self) -> Names:
        """Columns by role."""
        return ROLES[self.name]

    def column(self, role_or_name: str) -> str:
        return self.names.get(role_or_name, role_or_name)

    def tensors(self, rows: Sequence[Document] | None = None) -> Document:
        """These rows as a plain V2 request, a tensor a column."""
        rows = self.rows if rows is None else rows
        return copy.deepcopy(
            {
                "inputs": [
                    {
                        "name": column.name,
                        "shape": [len(rows), 1],
                        "datatype": column.datatype,
                        "data": [row.get(column.name) for row in rows],
                    }
                    for column in self.contract.columns
                ]
            }
        )

    def changed(self, case: TensorCase | DocumentCase) -> Any:
        """The plain V2 request for the model's rows, as the case changes it."""
        document = self.tensors()
        if isinstance(case, DocumentCase):
            return case.change(document, self.names)
        for tensor in document["inputs"]:
            if tensor["name"] == self.column(case.role):
                tensor.update(case.fields)
        return document

    def meaning(self, means: Mapping[str, Sequence[Any]]) -> list[Document]:
        """The rows, with other values by role; `...` leaves one as it is."""
        rows = copy.deepcopy(list(self.rows))
        for role, values in means.items():
            for row, value in zip(rows, values, strict=True):
                if value is not ...:
                    row[self.column(role)] = value
        return rows


WIDE = Model(
    "wide",
    Contract(
        task="multiclass",
        columns=(
            Column(name="flag", type="boolean", nullable=False),
            Column(name="maybe", type="boolean", nullable=True),
            Column(name="small", type="integer", nullable=False),
            Column(name="count", type="long", nullable=False),
            Column(name="ratio", type="float", nullable=True),
            Column(name="amount", type="double", nullable=True, limit=FLOAT32_MAX),
            Column(name="price", type="double", nullable=False),
            Column(name="city", type="string", nullable=False, categories=("Oslo", "Łódź")),
            Column(name="note", type="string", nullable=True),
            Column(name="when", type="datetime", nullable=False),
            Column(name="until", type="datetime", nullable=True),
            Column(name="blob", type="binary", nullable=True),
        ),
        outputs=(
            Output(name="prediction", datatype="BYTES", shape=(-1,)),
            Output(name="probability", datatype="FP64", shape=(-1, 3), classes=("a", "b", "ć")),
        ),
    ),
    (
        {
            "flag": True, "maybe": False, "small": 3, "count": 5, "ratio": 0.5, "amount": 12.5,
            "price": 1e300, "city": "Oslo", "note": "no: really", "when": "2026-01-31T12:00:00",
            "until": "2026-02-01T00:00:00", "blob": "AP8=",
        },
        {
            "flag": False, "maybe": True, "small": -3, "count": 2**60, "ratio": 2.5, "amount": -0.1,
            "price": 3.25, "city": "Łódź", "note": "none", "when": "2026-01-31T12:00:00.000001",
            "until": "1999-12-31T23:59:59", "blob": "AA==",
        },
    ),
)  # fmt: skip
