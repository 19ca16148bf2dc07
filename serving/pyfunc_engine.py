"""The engine that answers for any model: the MLflow model itself, on pandas and scikit-learn."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from registry.contract import Contract
from serving.engine import Columns, Outputs


class PyfuncEngine:
    """Runs the pipeline inside the MLflow model."""

    name = "pyfunc"

    def __init__(self, model: Path, contract: Contract, threads: int) -> None:
        # Not through PyFuncModel.predict: its schema enforcement costs 0.7 ms a request
        # and repeats what the contract has already checked, and it answers labels
        # without probabilities.
        self._pipeline: Any = mlflow.pyfunc.load_model(str(model)).get_raw_model()
        self._classifies = contract.task != "regression"
        threadpool_limits(threads)  # OpenMP and BLAS would take every core of the machine

    def predict(self, columns: Columns) -> Outputs:
        """Answer every row."""
        table = pd.DataFrame(columns, copy=False)
        if not self._classifies:
            return {"prediction": np.asarray(self._pipeline.predict(table), dtype=np.float64)}
        # The features are half the work: compute them once for labels and probabilities.
        features = self._pipeline[:-1].transform(table)
        classifier = self._pipeline[-1]
        return {
            "prediction": classifier.predict(features),
            "probability": classifier.predict_proba(features),
        }
