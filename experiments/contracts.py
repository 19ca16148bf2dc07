"""The contract of a trained pipeline: MLflow's signature plus what training saw."""

from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from experiments.data import Data
from experiments.roles import named
from registry.contract import FLOAT32_MAX, Contract, Task

_TYPES = {
    "b": DataType.boolean,
    "i": DataType.long,
    "f": DataType.double,
    "M": DataType.datetime,
}


def signature(data: Data) -> ModelSignature:
    """Columns are required unless a null was seen in them, in the training or the held-out rows."""
    inputs: list[ColSpec | TensorSpec] = [
        _column(name, data.train.X[name], data.holdout.X[name]) for name in data.train.X.columns
    ]
    answer = DataType.double if data.classes is None else _TYPES.get(data.classes.dtype.kind)
    outputs: list[ColSpec | TensorSpec] = [ColSpec(answer or DataType.string, "prediction")]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _column(name: str, train: "pd.Series[Any]", holdout: "pd.Series[Any]") -> ColSpec:
    kind = "b" if str(train.dtype) == "boolean" else train.dtype.kind
    nulls = bool(train.isna().any() or holdout.isna().any())
    return ColSpec(_TYPES.get(kind, DataType.string), name, required=not nulls)


def contract(data: Data, task: Task) -> Contract:
    """What a version trained on this data promises."""
    X = data.train.X
    return Contract.compile(
        signature(data).to_dict(),
        task,
        classes=None if data.classes is None else data.classes.tolist(),
        categories={
            name: X[name].dropna().unique().tolist() for name in named(data.roles, "categorical")
        },
        limits={name: FLOAT32_MAX for name in X.columns if X[name].dtype.kind in "if"},
    )
