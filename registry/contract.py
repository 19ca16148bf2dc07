"""The inputs and outputs a model version promises its clients.

Compiled from the MLflow signature plus what training saw, never typed by hand. Importing this needs
neither mlflow, scikit-learn nor pandas: the serving image has none of them on its request path.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ColumnType = Literal[
    "boolean", "integer", "long", "float", "double", "string", "binary", "datetime"
]  # MLflow's DataType names
Task = Literal["regression", "binary", "multiclass"]
Datatype = Literal["BOOL", "INT64", "FP64", "BYTES"]  # V2 datatypes that outputs use
ClassName = str | int | bool

V2_DATATYPES: Mapping[ColumnType, str] = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "binary": "BYTES",
    "datetime": "BYTES",
}
OUTPUT_DATATYPES: Mapping[str, Datatype] = {
    "boolean": "BOOL",
    "integer": "INT64",
    "long": "INT64",
    "float": "FP64",
    "double": "FP64",
    "string": "BYTES",
}
FLOAT32_MAX = 3.4028234663852886e38  # the largest finite IEEE 754 single
CATEGORIES_KEPT = (
    1000  # beyond this a column is free text in all but name, and contract.json stays small
)


class Column(BaseModel):
    """One input column."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    type: ColumnType
    nullable: bool
    limit: float | None = None
    """Largest magnitude accepted: pipelines that compute in single precision overflow beyond it."""
    categories: tuple[str, ...] | None = None
    """Values that training saw, sorted. Others are answered, and counted."""

    @property
    def datatype(self) -> str:
        """The V2 datatype that metadata announces."""
        return V2_DATATYPES[self.type]


class Output(BaseModel):
    """One named output; the first dimension of its shape is rows (-1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    classes: tuple[ClassName, ...] | None = None


class Contract(BaseModel):
    """What one model version accepts and returns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract_version: Literal[1] = 1
    task: Task
    columns: tuple[Column, ...] = Field(min_length=1)
    outputs: tuple[Output, ...] = Field(min_length=1)

    @classmethod
    def compile(
        cls,
        signature: Mapping[str, str | None],
        task: Task,
        classes: Sequence[ClassName] | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> "Contract":
        """Compile a contract from `ModelSignature.to_dict()` and what training saw.

        `classes` are the classifier's classes in the order of its probabilities; `categories` the
        values seen for categorical columns; `limits` the largest magnitudes for numeric ones.
        """
        columns = []
        for spec in json.loads(signature["inputs"] or "[]"):
            name = spec["name"]
            seen = (categories or {}).get(name)
            columns.append(
                Column(
                    name=name,
                    type=spec["type"],
                    nullable=not spec.get("required", True),
                    limit=(limits or {}).get(name),
                    categories=tuple(sorted(seen))
                    if seen is not None and len(seen) <= CATEGORIES_KEPT
                    else None,
                )
            )
        (answer,) = json.loads(signature["outputs"] or "[]")
        prediction = Output(
            name="prediction", datatype=OUTPUT_DATATYPES[answer["type"]], shape=(-1,)
        )
        if classes is None:
            return cls(task=task, columns=tuple(columns), outputs=(prediction,))
        named = tuple(classes)
        probability = Output(
            name="probability", datatype="FP64", shape=(-1, len(named)), classes=named
        )
        return cls(task=task, columns=tuple(columns), outputs=(prediction, probability))
