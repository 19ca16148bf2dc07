"""The candidate families: one plain scikit-learn pipeline each."""

from collections.abc import Mapping
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
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from experiments.features import Calendar, Numbers, Sentences, Words
from experiments.roles import Chosen, named
from experiments.spec import ExperimentSpec, Family
from registry.contract import Task

MOST_CATEGORIES = 100  # one-hot columns per column; the rarer values share the last one
WORDS_FOR_TREES = 300  # they take dense features, so only the most frequent words
WORDS_FOR_LINES = 50_000
NEEDS_NULLS_FILLED = {"linear", "forest"}
_MODELS: Mapping[Family, tuple[type[Any], type[Any]]] = {
    "linear": (Ridge, LogisticRegression),
    "forest": (RandomForestRegressor, RandomForestClassifier),
    "boosting": (HistGradientBoostingRegressor, HistGradientBoostingClassifier),
    "dummy": (DummyRegressor, DummyClassifier),
}
_DEFAULTS: Mapping[tuple[Family, bool], Mapping[str, Any]] = {
    ("linear", False): {"max_iter": 1000},
    ("dummy", True): {"strategy": "median"},
}


def parameters(family: Family, task: Task) -> list[str]:
    """What a search may vary."""
    ours = {"random_state", "n_jobs", "verbose", "warm_start"}
    return sorted(set(_model_type(family, task)().get_params()) - ours)


def build(
    spec: ExperimentSpec, family: Family, values: Mapping[str, Any], roles: Mapping[str, Chosen]
) -> Pipeline:
    """An unfitted pipeline of the family with these parameters of its model."""
    regression = spec.task == "regression"
    model = _model_type(family, spec.task)()
    known = model.get_params()
    values = {**_DEFAULTS.get((family, regression), {}), **values}
    if "random_state" in known:
        values["random_state"] = spec.seed
    model.set_params(**values)
    if spec.log_target:
        model = TransformedTargetRegressor(model, func=np.log1p, inverse_func=np.expm1)
    return Pipeline([("columns", _columns(family, roles)), ("model", model)])


def _model_type(family: Family, task: Task) -> type[Any]:
    return _MODELS[family][0 if task == "regression" else 1]


def _columns(family: Family, roles: Mapping[str, Chosen]) -> ColumnTransformer:
    """Features by role; no scaler in front of trees, whose splits it would move."""
    filled: list[Any] = []
    if family in NEEDS_NULLS_FILLED:
        filled.append(SimpleImputer(strategy="median", keep_empty_features=True))
    if family == "linear":
        filled.append(StandardScaler())
    words = WORDS_FOR_LINES if family == "linear" else WORDS_FOR_TREES
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MOST_CATEGORIES,
        sparse_output=False,
        dtype=np.float64,
    )
    branches: list[tuple[str, Any, list[str]]] = [
        ("numbers", make_pipeline(Numbers(), *filled), list(named(roles, "numeric"))),
        ("words", make_pipeline(Words(), one_hot), list(named(roles, "categorical"))),
        ("dates", make_pipeline(Calendar(), *filled), list(named(roles, "datetime"))),
    ]
    for index, column in enumerate(named(roles, "text")):
        tfidf = TfidfVectorizer(max_features=words, sublinear_tf=True, ngram_range=(1, 2))
        branches.append((f"text{index}", make_pipeline(Sentences(), tfidf), [column]))
    return ColumnTransformer(
        [branch for branch in branches if branch[2]],
        sparse_threshold=0.3 if family == "linear" else 0.0,
    )
