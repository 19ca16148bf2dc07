"""A table as the columns and graph inputs that the contract promises."""

from typing import Any

import numpy as np
import pandas as pd

from registry.contract import Column, Contract


def feeds(contract: Contract, X: pd.DataFrame) -> dict[str, Any]:
    """What ONNX Runtime takes: [n, 1] a column."""
    return {column.name: _feed(column, X[column.name])[:, None] for column in contract.columns}


def _feed(column: Column, values: "pd.Series[Any]") -> Any:
    match column.type:
        case "boolean" if column.nullable:
            return values.to_numpy(dtype=np.float32, na_value=np.nan)
        case "boolean":
            return values.to_numpy(dtype=np.bool_)
        case "long":
            return values.to_numpy(dtype=np.int64)
        case "double":
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        case "string":
            return values.to_numpy(dtype=object, na_value="")
    raise ValueError(f"no graph takes a {column.type}")


def documents(X: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """Rows as JSON documents: null for missing, ISO 8601 for dates, exact numbers."""
    columns = {str(name): [_json(value) for value in X[name].tolist()] for name in X.columns}
    return tuple(
        dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
    )


def _json(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
