"""One training run: candidates compared, the winner proven, logged and registered."""

import hashlib
import json
import logging
import pickle
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import from_pandas
from threadpoolctl import threadpool_limits

from experiments import (
    columns,
    contracts,
    cores,
    data,
    evaluate,
    graph,
    packing,
    parity,
    plots,
    report,
    roles,
    search,
    tracking,
)
from experiments.cores import Cores
from experiments.data import Data
from experiments.errors import ExperimentError
from experiments.evaluate import Held
from experiments.git import Commit, commit
from experiments.search import Fold, Trial
from experiments.selection import Contender, Selection, select
from experiments.spec import ExperimentSpec
from experiments.specfile import is_function
from registry import versions
from registry.artifact import Golden, Identity, Parity
from registry.contract import Contract
from registry.metrics import METRICS
from registry.store import connect

log = logging.getLogger(__name__)
GOLDEN_ROWS = 100
LIBRARIES = ("mlflow", "numpy", "onnxruntime", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True)
class Outcome:
    """What a training run came to."""

    name: str
    version: int
    run_id: str
    engine: str
    reason: str


@dataclass(frozen=True)
class Run:
    """What every step of one training run needs."""

    client: MlflowClient
    run_id: str
    spec: ExperimentSpec
    data: Data
    cores: Cores
    splits: Sequence[Fold]
    commit: Commit
    started: float

    def say(self, text: str, *values: Any) -> None:
        """A line of progress with the seconds since the start."""
        log.info(f"%5.1f s  {text}", time.perf_counter() - self.started, *values)


def train(spec: ExperimentSpec) -> Outcome:
    """Train every candidate, and register the winner as the next version under `candidate`."""
    started = time.perf_counter()
    loaded = data.load(spec)
    log.info(
        "%s: %d rows to learn from, %d held out", spec.name, len(loaded.train), len(loaded.holdout)
    )
    with (
        tracking.clear_errors(),
        tracking.ending_on_sigterm(),
        tracking.out_of_bookkeeping() as outer,
        threadpool_limits(1),  # the workers have the cores
        cores.holding(loaded.train) as workers,
    ):
        client = connect()
        experiment = mlflow.set_experiment(spec.name)
        tracking.heal(client, experiment.experiment_id)
        title = time.strftime("training %Y-%m-%d %H:%M:%S")
        with tracking.run(title, tracking.process_tag()) as parent:
            run_id = parent.info.run_id
            if outer:
                tracking.point(client, outer, spec.name, run_id)
            splits = search.folds(spec, loaded.train)
            run = Run(client, run_id, spec, loaded, workers, splits, commit(), started)
            return _train(run)


def _train(run: Run) -> Outcome:
    spec = run.spec
    _log_inputs(run)
    tried = {name: _search(run, name) for name in spec.candidates}
    fitted = _fit(run, tried)
    contenders = [_contender(run, name, tried[name], fitted[name]) for name in tried]
    selection = select(contenders, METRICS[spec.metric], spec.selection)
    if selection.winner.family == "dummy" and len(contenders) > 1:
        raise ExperimentError(
            f"nothing beats {selection.winner.name}, the same answer for every row "
            f"({spec.metric} {selection.winner.mean:.4f}); nothing was registered"
        )
    held = {
        each.name: evaluate.hold_out(spec, fitted[each.name], run.data)
        for each in selection.finalists
    }
    winner = selection.winner.name
    run.say("%s won; proving its graph equal and drawing pictures", winner)
    promise = contracts.contract(run.data, spec.task)
    made, proof = _prove(run, fitted[winner], promise)
    text = report.markdown(selection, METRICS[spec.metric], tried, held, proof)
    _log_outcome(run, selection, tried, held, text)
    _log_pictures(run, selection, tried[winner], fitted[winner], held[winner])
    digest = _log_holdout(run)
    parts = packing.Parts(
        pipeline=fitted[winner],
        signature=contracts.signature(run.data),
        example=run.data.holdout.X.iloc[:2],
        contract=promise,
        golden=_golden(run, fitted[winner]),
        identity=_identity(run, held[winner], digest),
        parity=proof,
        graph=made,
    )
    model_id = packing.save(run.client, parts)
    with tracking.uninterrupted():
        number = versions.register(
            run.client, spec.name, model_id, run.run_id, _described(spec, text)
        )
    run.say("registered as %s version %d", spec.name, number)
    reason = report.reason(selection, METRICS[spec.metric])
    return Outcome(spec.name, number, run.run_id, proof.engine, reason)


# --- candidates ---


def _search(run: Run, name: str) -> Trial:
    """One child run: every combination of the candidate's parameters on every fold."""
    spec, candidate = run.spec, run.spec.candidates[name]
    with tracking.run(name, tracking.process_tag(), nested=True) as child:
        mlflow.log_params({"candidate": name, "family": candidate.family})
        tried = []
        for trial in search.trials(spec, name, run.data, run.cores, run.splits):
            tried.append(trial)
            run.say(
                "%s %s %.4f ± %.4f [%s] %s",
                *(name, spec.metric, trial.mean, trial.spread),
                " ".join(f"{score:.3f}" for score in trial.scores),
                " ".join(f"{key}={value}" for key, value in trial.parameters.items()),
            )
        for said in dict.fromkeys(s for trial in tried for f in trial.folds for s in f.warnings):
            log.warning("         %s: %s", name, said)
        best = search.best(spec, tried)
        mlflow.log_params(dict(best.parameters))
        mlflow.log_metrics(_scores(best))
        mlflow.log_table(_table(tried), "search.json")
        return replace(best, run_id=child.info.run_id)


def _scores(trial: Trial) -> dict[str, float]:
    """The same names for every candidate, so that the UI compares them."""
    return {
        "cv_mean": trial.mean,
        "cv_std": trial.spread,
        "cv_stderr": trial.spread / len(trial.folds) ** 0.5,
        **{f"fold_{index}": score for index, score in enumerate(trial.scores, 1)},
        "fold_fit_seconds": trial.fit_seconds,
    }


def _table(tried: Sequence[Trial]) -> pd.DataFrame:
    return pd.DataFrame([{**trial.parameters, **_scores(trial)} for trial in tried])


def _fit(run: Run, tried: Mapping[str, Trial]) -> dict[str, Any]:
    """Every candidate with its best parameters on all training rows."""
    run.say("fitting each candidate on all %d rows", len(run.data.train))
    jobs = [search.Job(run.spec, name, tried[name].parameters, run.data) for name in tried]
    results = run.cores.map(search.fit, [(job,) for job in jobs])
    fitted = {}
    for name, (pipeline, seconds) in zip(tried, results, strict=True):
        fitted[name] = pipeline
        run.client.log_metric(tried[name].run_id, "fit_seconds", seconds)
    return fitted


def _contender(run: Run, name: str, trial: Trial, pipeline: Any) -> Contender:
    contender = Contender(
        name=name,
        family=run.spec.candidates[name].family,
        folds=tuple(trial.scores.tolist()),
        model_bytes=len(pickle.dumps(pipeline)),
        row_latency_ms=evaluate.row_latency_ms(pipeline, run.data.holdout),
    )
    run.client.log_metric(trial.run_id, "model_bytes", contender.model_bytes)
    run.client.log_metric(trial.run_id, "row_latency_ms", contender.row_latency_ms)
    return contender


# --- the winner ---


def _prove(run: Run, pipeline: Any, promise: Contract) -> tuple[Any, Parity]:
    """The graph when it equals the pipeline everywhere, and what was measured."""
    try:
        made = graph.compiled(pipeline, promise)
    except graph.NoGraph as reason:
        return None, Parity(engine="pyfunc", reason=str(reason), tolerance=0.0)
    tables = {"training rows": run.data.train.X, "held-out rows": run.data.holdout.X}
    proof = parity.prove(pipeline, made, promise, tables, run.spec.seed)
    mlflow.log_dict(proof.model_dump(), "parity.json")
    for check in proof.checks:
        run.say(
            "parity on %d %s: %d labels differ, numbers by up to %.2g",
            *(check.rows, check.name, check.label_flips, check.largest_difference),
        )
    return (made if proof.engine == "onnx" else None), proof


def _golden(run: Run, pipeline: Any) -> Golden:
    """Held-out rows drawn at random, with the pipeline's answers."""
    holdout = run.data.holdout
    count = min(GOLDEN_ROWS, len(holdout))
    drawn = np.random.default_rng(run.spec.seed).permutation(len(holdout))[:count]
    rows = holdout.take(np.sort(drawn))
    outputs = {"prediction": pipeline.predict(rows.X).tolist()}
    if run.data.classes is not None:
        outputs["probability"] = pipeline.predict_proba(rows.X).tolist()
    return Golden(rows=columns.documents(rows.X), outputs=outputs, actual=tuple(rows.y.tolist()))


def _identity(run: Run, held: Held, digest: str) -> Identity:
    return Identity(
        model_name=run.spec.name,
        run_id=run.run_id,
        git_commit=run.commit.sha,
        git_dirty=run.commit.dirty,
        metric=run.spec.metric,
        holdout=held.interval,
        holdout_rows=len(run.data.holdout),
        data_digest=digest,
    )


def _described(spec: ExperimentSpec, text: str) -> str:
    return f"{spec.description}\n\n{text}" if spec.description else text


# --- what the run keeps ---


def _log_inputs(run: Run) -> None:
    spec, loaded = run.spec, run.data
    tags = {
        "assay.slices": json.dumps(spec.slices),
        "assay.git_dirty": str(run.commit.dirty).lower(),
    }
    if run.commit.sha:
        tags["mlflow.source.git.commit"] = run.commit.sha
    mlflow.set_tags(tags)
    mlflow.log_params(
        {
            **{
                key: getattr(spec, key) for key in ("target", "task", "metric", "selection", "seed")
            },
            "log_target": spec.log_target,
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
    for name, chosen in loaded.roles.items():
        if chosen.role is None:
            log.warning("         %s %s", name, chosen.reason)
    for rows, context in ((loaded.train, "training"), (loaded.holdout, "held out")):
        table = rows.X.assign(**{spec.target: rows.y})
        dataset = from_pandas(
            table,
            source=_source(spec),
            targets=spec.target,
            name=spec.name,
            digest=data.digest(rows)[:36],  # as long as MLflow keeps
        )
        mlflow.log_input(dataset, context)


def _source(spec: ExperimentSpec) -> Any:
    """MLflow knows paths and URIs; a function of ours is code."""
    source = spec.data.source
    return CodeDatasetSource({"function": source}) if is_function(source) else source


def _log_outcome(
    run: Run,
    selection: Selection,
    tried: Mapping[str, Trial],
    held: Mapping[str, Held],
    text: str,
) -> None:
    winner = selection.winner.name
    mlflow.log_params({"winner": winner, "family": selection.winner.family})
    mlflow.log_metrics(_scores(tried[winner]))
    mlflow.log_metric("model_bytes", selection.winner.model_bytes)
    mlflow.log_metric("row_latency_ms", selection.winner.row_latency_ms)
    for name, each in held.items():
        scores = {f"holdout_{metric}": score for metric, score in each.scores.items()}
        scores |= {"holdout_low": each.interval.low, "holdout_high": each.interval.high}
        for run_id in (tried[name].run_id, *([run.run_id] if name == winner else [])):
            for key, score in scores.items():
                run.client.log_metric(run_id, key, score)
    mlflow.set_tag("mlflow.note.content", text)


def _log_pictures(run: Run, selection: Selection, trial: Trial, pipeline: Any, held: Held) -> None:
    spec, metric, name = run.spec, METRICS[run.spec.metric], selection.winner.name
    curve = evaluate.learning_curve(spec, name, trial, run.data, run.cores, run.splits)
    leaning = evaluate.importance(spec, pipeline, run.data)
    mlflow.log_table(leaning, "importance.json")
    classes = None if run.data.classes is None else run.data.classes.tolist()
    figures = {
        "candidates": plots.candidates(selection, metric),
        "learning-curve": plots.learning(curve, metric, name),
        "importance": plots.importance(leaning, metric, name),
        **dict(plots.pictures(spec.task, classes, held)),
    }
    for title, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{title}.png")


def _log_holdout(run: Run) -> str:
    """Keep the held-out rows, so that any version can be scored on them; returns their sha256."""
    holdout = run.data.holdout
    table = pd.concat([holdout.X, holdout.aside], axis=1).assign(**{run.spec.target: holdout.y})
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        path = Path(folder) / "rows.parquet"
        table.to_parquet(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        mlflow.log_artifact(str(path), "holdout")
    mlflow.set_tag("assay.holdout_digest", digest)
    return digest
