"""The candidate families: one plain scikit-learn pipeline each."""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from experiments.features import Numbers, Words

ESTIMATORS = {
    ("linear", True): Ridge,
    ("linear", False): LogisticRegression,
    ("forest", True): RandomForestRegressor,
    ("forest", False): RandomForestClassifier,
    ("boosting", True): HistGradientBoostingRegressor,
    ("boosting", False): HistGradientBoostingClassifier,
    ("dummy", True): DummyRegressor,
    ("dummy", False): DummyClassifier,
}
FIXED: dict[tuple[str, bool], dict[str, Any]] = {
    ("linear", False): {"max_iter": 1000},
    ("forest", True): {"n_estimators": 200},
    ("forest", False): {"n_estimators": 100},
    ("dummy", True): {"strategy": "median"},
    ("dummy", False): {"strategy": "prior"},
}


def build(
    family: str,
    parameters: dict[str, Any],
    *,
    regression: bool,
    log_target: bool,
    numeric: list[str],
    categorical: list[str],
    seed: int,
) -> Pipeline:
    numbers: list[Any] = [Numbers()]
    if family in {"linear", "forest", "dummy"}:
        numbers.append(SimpleImputer(strategy="median"))
    if family == "linear":
        numbers.append(StandardScaler())
    words = make_pipeline(
        Words(), OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    )
    columns = ColumnTransformer(
        [("numbers", make_pipeline(*numbers), numeric), ("words", words, categorical)]
    )
    options = {**FIXED.get((family, regression), {}), **parameters}
    if family in {"forest", "boosting"}:
        options["random_state"] = seed
    model = ESTIMATORS[family, regression](**options)
    if log_target:
        model = TransformedTargetRegressor(model, func=np.log1p, inverse_func=np.expm1)
    return Pipeline([("columns", columns), ("model", model)])
