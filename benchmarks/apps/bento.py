"""BentoML with the MLflow model, as its documentation serves a data frame."""

import os

import bentoml
import mlflow
import pandas as pd


@bentoml.service
class Income:
    """The model that INCOME_MODEL points to."""

    def __init__(self) -> None:
        self._model = mlflow.pyfunc.load_model(os.environ["INCOME_MODEL"])

    @bentoml.api
    def predict(self, rows: pd.DataFrame) -> list[str]:
        """Labels."""
        answers: list[str] = self._model.predict(rows).tolist()
        return answers
