"""What a training run keeps for people: parameters, scores, pictures, data, the reason."""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import from_pandas

from experiments import data, evaluate, plots, roles
from experiments.answers import Ask
from experiments.data import Rows
from experiments.evaluate import Held
from experiments.git import Commit
from experiments.search import Comparison, Trial
from experiments.selection import Contender, Selection
from experiments.spec import ExperimentSpec
from experiments.specfile import is_function

LIBRARIES = ("mlflow", "numpy", "onnxruntime", "pandas", "scikit-learn", "scipy", "skops")
LONGEST_DIGEST = 36  # as long as MLflow keeps


def inputs(comparison: Comparison, commit: Commit) -> None:
    """What goes in: spec, data, code."""
    spec, loaded = comparison.spec, comparison.data
    mlflow.set_tags(
        {
            "assay.slices": json.dumps(spec.slices),
            "assay.git_dirty": str(commit.dirty).lower(),
            **({"mlflow.source.git.commit": commit.sha} if commit.sha else {}),
        }
    )
    named = ("target", "task", "metric", "log_target", "selection", "seed")
    mlflow.log_params(
        {
            **{name: getattr(spec, name) for name in named},
            "split": spec.split.kind,
            "folds": spec.cv.folds,
            "train_rows": len(loaded.train),
            "holdout_rows": len(loaded.holdout),
            "rows_without_target": loaded.without_target,
            "columns": len(loaded.train.X.columns),
        }
    )
    mlflow.log_dict(spec.model_dump(mode="json"), "spec.yaml")
    mlflow.log_dict({name: version(name) for name in LIBRARIES}, "libraries.json")
    mlflow.log_text("\n".join(roles.explained(loaded.roles)) + "\n", "roles.txt")
    _dataset(spec, loaded.train, "training")
    _dataset(spec, loaded.holdout, "held out")


def _dataset(spec: ExperimentSpec, rows: Rows, context: str) -> None:
    source = spec.data.source
    dataset = from_pandas(
        rows.X.assign(**{spec.target: rows.y}),
        source=CodeDatasetSource({"function": source}) if is_function(source) else source,
        targets=spec.target,
        name=spec.name,
        digest=data.digest(rows)[:LONGEST_DIGEST],
    )
    mlflow.log_input(dataset, context)


def candidate(tried: Sequence[Trial], best: Trial) -> None:
    """One candidate's search, in its own run."""
    mlflow.log_params(dict(best.parameters))
    mlflow.log_metrics(_scores(best))
    table = pd.DataFrame([{**trial.parameters, **_scores(trial)} for trial in tried])
    mlflow.log_table(table, "search.json")


def fitted(client: MlflowClient, run_id: str, seconds: float, contender: Contender) -> None:
    """What a candidate costs, in its own run."""
    client.log_metric(run_id, "fit_seconds", seconds)
    client.log_metric(run_id, "model_bytes", contender.model_bytes)
    client.log_metric(run_id, "row_latency_ms", contender.row_latency_ms)


def _scores(trial: Trial) -> dict[str, float]:
    """The same names for every candidate, so that the UI compares them."""
    return {
        "cv_mean": trial.mean,
        "cv_std": trial.spread,
        "cv_stderr": trial.standard_error,
        **{f"fold_{index}": score for index, score in enumerate(trial.scores, 1)},
        "fold_fit_seconds": trial.fit_seconds,
    }


def outcome(
    client: MlflowClient,
    selection: Selection,
    tried: Mapping[str, Trial],
    held: Mapping[str, Held],
) -> None:
    """The finalists' held-out scores in their runs, and the winner's scores in the parent's."""
    winner = selection.winner
    mlflow.log_params({"winner": winner.name, "family": winner.family})
    mlflow.log_metrics(
        {
            **_scores(tried[winner.name]),
            **_held(held[winner.name]),
            "model_bytes": winner.model_bytes,
            "row_latency_ms": winner.row_latency_ms,
        }
    )
    for name, each in held.items():
        for key, score in _held(each).items():
            client.log_metric(tried[name].run_id, key, score)


def _held(held: Held) -> dict[str, float]:
    scores = {f"holdout_{name}": score for name, score in held.scores.items()}
    return {**scores, "holdout_low": held.interval.low, "holdout_high": held.interval.high}


def pictures(
    comparison: Comparison, selection: Selection, trial: Trial, ask: Ask, held: Held
) -> None:
    """Plots of the comparison and of the winner, and the tables behind them."""
    metric, name = comparison.metric, selection.winner.name
    curve = evaluate.learning_curve(comparison, name, trial)
    leaning = evaluate.importance(comparison, ask)
    mlflow.log_table(leaning, "importance.json")
    classes = comparison.data.classes
    figures = {
        "candidates": plots.candidates(selection, metric),
        "learning-curve": plots.learning(curve, metric, name),
        "importance": plots.importance(leaning, metric, name),
        **dict(plots.pictures(held, None if classes is None else classes.tolist())),
    }
    for title, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{title}.png")


def holdout(comparison: Comparison) -> str:
    """Keep the held-out rows, so that any version can be scored on them; returns their sha256."""
    rows = comparison.data.holdout
    table = pd.concat([rows.X, rows.aside], axis=1).assign(**{comparison.spec.target: rows.y})
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        path = Path(folder) / "rows.parquet"
        table.to_parquet(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        mlflow.log_artifact(str(path), "holdout")
    mlflow.set_tag("assay.holdout_digest", digest)
    return digest
