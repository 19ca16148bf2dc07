"""`python -m registry.score MODEL ROWS ANSWERS`: a version's own pipeline answers rows.

A process of its own, so that each version runs the code that travels with it, whatever another
version or the working directory calls the same.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from registry.artifact import Artifact
from registry.contract import Column, Contract

MODEL = "model.skops"
CODE = "code"


def score(folder: Path, rows: Path, answers: Path) -> None:
    """Write `{"prediction": [...], "probability": [[...]]}`; the latter for classifiers."""
    import skops.io

    sys.path.insert(0, str(folder / CODE))
    pipeline = skops.io.load(
        folder / MODEL, trusted=skops.io.get_untrusted_types(file=folder / MODEL)
    )
    contract = Artifact(folder).contract
    table = arrange(pd.read_parquet(rows), contract)
    document = {"prediction": pipeline.predict(table).tolist()}
    if contract.task != "regression":
        document["probability"] = pipeline.predict_proba(table).tolist()
    answers.write_text(json.dumps(document))


def arrange(table: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The contract's columns in its order; a nullable column that the table lacks is null."""
    arranged = {
        column.name: table[column.name] if column.name in table else _nulls(column, len(table))
        for column in contract.columns
    }
    return pd.DataFrame(arranged, index=table.index)


def _nulls(column: Column, rows: int) -> "pd.Series[float]":
    dtype = {"string": "str", "datetime": "datetime64[us]", "double": "float64", "float": "float32"}
    return pd.Series([None] * rows, dtype=dtype.get(column.type, "object"))


if __name__ == "__main__":
    score(*map(Path, sys.argv[1:4]))
