"""One training run: candidates compared, the winner logged and registered."""

import hashlib
import importlib
import logging
import shutil
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from sklearn.metrics import roc_auc_score, root_mean_squared_log_error
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    train_test_split,
)

from experiments import compile as compiling
from experiments import features
from experiments.pipelines import build
from experiments.spec import ExperimentSpec
from registry import versions
from registry.artifact import (
    CONTRACT,
    FOLDER,
    GOLDEN,
    GRAPH,
    IDENTITY,
    PARITY,
    Golden,
    Identity,
    Interval,
    Parity,
    ParityCheck,
)
from registry.contract import FLOAT32_MAX, Contract
from registry.store import connect

log = logging.getLogger(__name__)
TRUSTED = [
    "experiments.features.Numbers",
    "experiments.features.Words",
    "numpy.dtype",
    "numpy.log1p",
    "numpy.expm1",
    "sklearn.compose._target.TransformedTargetRegressor",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]


def train(spec: ExperimentSpec) -> int:
    """Train and register; returns the version."""
    table = _load(spec.data.source)
    y = table.pop(spec.target)
    X = table.drop(columns=list(spec.drop))
    for column in spec.roles.categorical:
        X[column] = X[column].astype(str)
    numeric = [c for c in X if X[c].dtype.kind in "ifb"]
    categorical = [c for c in X if c not in numeric]
    for column in numeric:
        if X[column].dtype.kind != "b" and X[column].isna().any():
            X[column] = X[column].astype(float)
    regression = spec.task == "regression"
    if spec.split.kind == "file":
        test = _load(str(spec.split.source))
        y_test, X_test, X_train, y_train = test.pop(spec.target), test[X.columns], X, y
    else:
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=spec.split.fraction, random_state=spec.seed
        )
    connect()
    mlflow.set_experiment(spec.name)
    with mlflow.start_run() as run:
        folds = (KFold if regression else StratifiedKFold)(
            spec.cv.folds, shuffle=True, random_state=spec.seed
        )
        scoring = "neg_root_mean_squared_log_error" if regression else "roc_auc"
        fitted = {}
        for name, candidate in spec.candidates.items():
            with mlflow.start_run(run_name=name, nested=True):
                pipeline = build(
                    candidate.family,
                    {},
                    regression=regression,
                    log_target=spec.log_target,
                    numeric=numeric,
                    categorical=categorical,
                    seed=spec.seed,
                )
                prefix = "model__regressor__" if spec.log_target else "model__"
                grid = {prefix + key: list(values) for key, values in candidate.space.items()}
                search = GridSearchCV(pipeline, grid, scoring=scoring, cv=folds, n_jobs=2)
                start = time.perf_counter()
                search.fit(X_train, y_train)
                score = abs(search.best_score_)
                log.info(
                    "%s %s %.4f in %.1f s",
                    name,
                    search.best_params_,
                    score,
                    time.perf_counter() - start,
                )
                mlflow.log_metric("cv_mean", score)
                mlflow.log_params(search.best_params_)
                fitted[name] = (search.best_score_, search.best_estimator_)
        winner = max(fitted, key=lambda name: fitted[name][0])
        pipeline = fitted[winner][1]
        return _publish(spec, run, winner, pipeline, X_train, X_test, y_test)


def _publish(spec, run, winner, pipeline, X_train, X_test, y_test):  # noqa: ANN
    regression = spec.task == "regression"
    inputs = Schema([_colspec(name, X_train[name], X_test[name]) for name in X_train])
    answer = DataType.double if regression else DataType.string
    signature = ModelSignature(inputs, Schema([ColSpec(answer, "prediction")]))
    classes = None if regression else [str(c) for c in pipeline.classes_]
    contract = Contract.compile(
        signature.to_dict(),
        spec.task,
        classes=classes,
        categories={
            c: [str(v) for v in X_train[c].dropna().unique()]
            for c in X_train
            if X_train[c].dtype.kind not in "ifb"
        },
        limits={c: FLOAT32_MAX for c in X_train if X_train[c].dtype.kind in "if"},
    )
    if regression:
        score = float(root_mean_squared_log_error(y_test, pipeline.predict(X_test)))
    else:
        score = float(roc_auc_score(y_test, pipeline.predict_proba(X_test)[:, 1]))
    mlflow.log_metric("holdout", score)
    mlflow.log_param("target", spec.target)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = folder / "rows.parquet"
        X_test.assign(**{spec.target: y_test}).reset_index(drop=True).to_parquet(rows)
        digest = hashlib.sha256(rows.read_bytes()).hexdigest()
        mlflow.log_artifact(str(rows), "holdout")
        mlflow.set_tag("assay.holdout_digest", digest)
        code = folder / "code" / "experiments"
        code.mkdir(parents=True)
        (code / "__init__.py").write_text('"""What the saved pipeline needs."""\n')
        shutil.copy(str(features.__file__), code / "features.py")
        own = folder / FOLDER
        own.mkdir()
        golden_X = X_test.iloc[:100].reset_index(drop=True)
        outputs = {"prediction": pipeline.predict(golden_X).tolist()}
        if not regression:
            outputs["probability"] = pipeline.predict_proba(golden_X).tolist()
        documents = [
            {k: None if pd.isna(v) else v for k, v in row.items()}
            for row in golden_X.astype(object).to_dict("records")
        ]
        golden = Golden(rows=documents, outputs=outputs, actual=tuple(y_test.iloc[:100].tolist()))
        try:
            made = compiling.graph(pipeline, contract)
        except compiling.NoGraph as reason:
            parity = Parity(engine="pyfunc", reason=str(reason), tolerance=0)
        else:
            (own / GRAPH).write_bytes(made.SerializeToString())
            session = onnxruntime.InferenceSession(made.SerializeToString())
            answers = session.run(None, _feed(contract, X_test))
            truth = pipeline.predict(X_test)
            flips = 0 if regression else int((answers[0] != truth).sum())
            far = (
                np.abs(answers[0] / truth - 1).max()
                if regression
                else np.abs(answers[1] - pipeline.predict_proba(X_test)).max()
            )
            check = ParityCheck(
                name="holdout", rows=len(X_test), label_flips=flips, largest_difference=float(far)
            )
            parity = Parity(
                engine="onnx",
                reason="exact",
                tolerance=1e-5 if regression else 1e-6,
                checks=(check,),
            )
        commit = _git("rev-parse", "HEAD")
        identity = Identity(
            model_name=spec.name,
            run_id=run.info.run_id,
            git_commit=commit,
            git_dirty=bool(_git("status", "--porcelain")),
            metric=spec.metric,
            holdout=Interval(value=score, low=score, high=score),
            holdout_rows=len(X_test),
            data_digest=digest,
        )
        for name, document in {
            CONTRACT: contract,
            GOLDEN: golden,
            IDENTITY: identity,
            PARITY: parity,
        }.items():
            (own / name).write_text(document.model_dump_json(indent=1))
        info = mlflow.sklearn.log_model(
            pipeline,
            name="model",
            serialization_format="skops",
            skops_trusted_types=TRUSTED,
            signature=signature,
            input_example=golden_X.iloc[:2],
            pip_requirements=[
                f"{p}=={version(p)}" for p in ("mlflow", "scikit-learn", "skops", "numpy", "pandas")
            ],
            code_paths=[str(code)],
        )
        client = mlflow.MlflowClient()
        client.log_model_artifacts(info.model_id, str(own), FOLDER)
    number = versions.register(client, spec.name, info.model_id, run.info.run_id, spec.description)
    log.info("%s won: %s %.4f, %s", winner, spec.metric, score, parity.model_dump_json())
    return number


def _colspec(name: str, *parts: pd.Series) -> ColSpec:
    kind = parts[0].dtype.kind
    nulls = any(part.isna().any() for part in parts)
    types = {"i": DataType.long, "b": DataType.boolean, "f": DataType.double}
    return ColSpec(types.get(kind, DataType.string), name, required=not nulls)


def _feed(contract: Contract, X: pd.DataFrame) -> dict[str, Any]:
    return {
        c.name: (
            X[c.name].to_numpy(dtype=object, na_value="")
            if c.type == "string"
            else X[c.name].to_numpy()
        )[:, None]
        for c in contract.columns
    }


def _load(source: str) -> pd.DataFrame:
    module, _, function = source.partition(":")
    table: pd.DataFrame = getattr(importlib.import_module(module), function)()
    return table


def _git(*words: str) -> str | None:
    done = subprocess.run(["git", *words], check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
