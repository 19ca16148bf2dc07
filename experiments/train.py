"""One training run: candidates compared, the winner proven, logged and registered."""

import logging
import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import mlflow
import numpy as np
import onnx
from mlflow import MlflowClient
from threadpoolctl import threadpool_limits

from experiments import (
    answers,
    columns,
    contracts,
    cores,
    data,
    evaluate,
    graph,
    interruption,
    packing,
    parity,
    recording,
    report,
    search,
    tracking,
)
from experiments.answers import Ask
from experiments.errors import ExperimentError
from experiments.evaluate import Held
from experiments.git import commit
from experiments.nodes import NoGraph
from experiments.search import Comparison, Trial
from experiments.selection import Contender, Selection, select
from experiments.spec import ExperimentSpec
from registry import versions
from registry.artifact import Golden, Identity, Parity
from registry.contract import Contract
from registry.store import connect

log = logging.getLogger(__name__)
GOLDEN_ROWS = 100


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
    """One training run under way."""

    client: MlflowClient
    run_id: str
    comparison: Comparison
    started: float

    def say(self, text: str, *values: Any) -> None:
        """A line of progress with the seconds since the start."""
        log.info(f"%5.1f s  {text}", time.perf_counter() - self.started, *values)


def train(spec: ExperimentSpec) -> Outcome:
    """Train every candidate, and register the winner as the next version under `candidate`."""
    started = time.perf_counter()
    loaded = data.load(spec)
    _announce(spec, loaded)
    with (
        tracking.clear_errors(),
        interruption.postponed(),
        tracking.out_of_bookkeeping() as outer,
        threadpool_limits(1),  # the workers have the cores
        cores.holding(loaded.train) as workers,
    ):
        client = connect()
        experiment = mlflow.set_experiment(spec.name)
        tracking.heal(client, experiment.experiment_id)
        title = time.strftime("training %Y-%m-%d %H:%M:%S")
        with tracking.run(title) as run_id:
            if outer:
                tracking.point(client, outer, spec.name, run_id)
            folds = search.folds(spec, loaded.train)
            comparison = Comparison(spec, loaded, workers, folds)
            return _train(Run(client, run_id, comparison, started))


def _announce(spec: ExperimentSpec, loaded: data.Data) -> None:
    log.info(
        "%s: %d rows to learn from, %d held out", spec.name, len(loaded.train), len(loaded.holdout)
    )
    if loaded.without_target:
        log.warning("%d rows without a target were left out", loaded.without_target)
    for name, chosen in loaded.roles.items():
        if chosen.role is None:
            log.warning("column %s %s", name, chosen.reason)


def _train(run: Run) -> Outcome:
    spec = run.comparison.spec
    recording.inputs(run.comparison, commit())
    tried = {name: _search(run, name) for name in spec.candidates}
    fitted, contenders = _fit(run, tried)
    selection = _select(run, contenders)
    winner = selection.winner.name
    run.say("%s won; meeting the held-out rows, proving the graph", winner)
    held = {
        each.name: evaluate.hold_out(run.comparison, fitted[each.name])
        for each in selection.finalists
    }
    made, proof = _prove(run, fitted[winner])
    text = report.markdown(selection, run.comparison.metric, tried, held, proof)
    mlflow.set_tag("mlflow.note.content", text)
    recording.outcome(run.client, selection, tried, held)
    ask = _quickest(run, fitted[winner], made)
    recording.pictures(run.comparison, selection, tried[winner], ask, held[winner])
    parts = _parts(run, fitted[winner], held[winner], made, proof)
    model_id = packing.save(run.client, parts)
    described = f"{spec.description}\n\n{text}".strip()
    number = versions.register(run.client, spec.name, model_id, run.run_id, described)
    run.say("registered %s version %d", spec.name, number)
    reason = report.reason(selection, run.comparison.metric)
    return Outcome(spec.name, number, run.run_id, proof.engine, reason)


def _search(run: Run, name: str) -> Trial:
    """One child run: every combination of the candidate's parameters on every fold."""
    comparison = run.comparison
    with tracking.run(name, nested=True) as run_id:
        family = comparison.spec.candidates[name].family
        mlflow.log_params({"candidate": name, "family": family})
        tried = []
        for trial in search.trials(comparison, name):
            tried.append(trial)
            run.say(
                "%s %s %.4f ± %.4f [%s] %s",
                *(name, comparison.metric.name, trial.mean, trial.spread),
                " ".join(f"{score:.3f}" for score in trial.scores),
                " ".join(f"{key}={value}" for key, value in trial.parameters.items()),
            )
        for warning in dict.fromkeys(said for trial in tried for said in trial.warnings):
            log.warning("         %s: %s", name, warning)
        best = search.best(tried, comparison.metric)
        recording.candidate(tried, best)
        return replace(best, run_id=run_id)


def _fit(run: Run, tried: Mapping[str, Trial]) -> tuple[dict[str, Any], list[Contender]]:
    """Every candidate with its best parameters on all training rows."""
    comparison = run.comparison
    run.say("fitting each candidate on all %d rows", len(comparison.data.train))
    jobs = [comparison.job(name, trial.parameters) for name, trial in tried.items()]
    results = comparison.cores.map(search.fit, [(job,) for job in jobs])
    fitted, contenders = {}, []
    for (name, trial), (pipeline, seconds) in zip(tried.items(), results, strict=True):
        contender = Contender(
            name=name,
            family=comparison.spec.candidates[name].family,
            folds=tuple(trial.scores.tolist()),
            model_bytes=len(pickle.dumps(pipeline)),
            row_latency_ms=evaluate.row_latency_ms(pipeline, comparison.data.holdout),
        )
        recording.fitted(run.client, trial.run_id, seconds, contender)
        fitted[name] = pipeline
        contenders.append(contender)
    return fitted, contenders


def _select(run: Run, contenders: list[Contender]) -> Selection:
    comparison = run.comparison
    selection = select(contenders, comparison.metric, comparison.spec.selection)
    winner = selection.winner
    if winner.family == "dummy" and len(contenders) > 1:
        raise ExperimentError(
            f"nothing beats {winner.name}, which says the same for every row "
            f"({comparison.metric.name} {winner.mean:.4f}); nothing was registered"
        )
    return selection


def _prove(run: Run, pipeline: Any) -> tuple[onnx.ModelProto | None, Parity]:
    """The graph when it equals the pipeline everywhere, and what was measured."""
    promise = _contract(run)
    try:
        made = graph.compiled(pipeline, promise)
    except NoGraph as reason:
        return None, Parity(engine="pyfunc", reason=str(reason), tolerance=0.0)
    loaded = run.comparison.data
    tables = {"training rows": loaded.train.X, "held-out rows": loaded.holdout.X}
    proof = parity.prove(pipeline, made, promise, tables, run.comparison.spec.seed)
    for check in proof.checks:
        run.say(
            "parity on %d %s: %d labels differ, numbers by up to %.2g",
            *(check.rows, check.name, check.label_flips, check.largest_difference),
        )
    mlflow.log_dict(proof.model_dump(), "parity.json")
    return (made if proof.engine == "onnx" else None), proof


def _quickest(run: Run, pipeline: Any, made: onnx.ModelProto | None) -> Ask:
    classes = run.comparison.data.classes
    if made is None:
        return answers.of_pipeline(pipeline, classes)
    return answers.of_graph(parity.session_of(made), _contract(run), classes)


def _contract(run: Run) -> Contract:
    return contracts.contract(run.comparison.data, run.comparison.spec.task)


def _parts(
    run: Run, pipeline: Any, held: Held, made: onnx.ModelProto | None, proof: Parity
) -> packing.Parts:
    spec, loaded = run.comparison.spec, run.comparison.data
    code = commit()
    identity = Identity(
        model_name=spec.name,
        run_id=run.run_id,
        git_commit=code.sha,
        git_dirty=code.dirty,
        metric=spec.metric,
        holdout=held.interval,
        holdout_rows=len(loaded.holdout),
        data_digest=recording.holdout(run.comparison),
    )
    return packing.Parts(
        pipeline=pipeline,
        signature=contracts.signature(loaded),
        example=loaded.holdout.X.iloc[:2],
        contract=_contract(run),
        golden=_golden(run.comparison, pipeline),
        identity=identity,
        parity=proof,
        graph=made,
    )


def _golden(comparison: Comparison, pipeline: Any) -> Golden:
    """Held-out rows drawn at random, with the pipeline's answers."""
    holdout = comparison.data.holdout
    count = min(GOLDEN_ROWS, len(holdout))
    drawn = np.random.default_rng(comparison.spec.seed).permutation(len(holdout))[:count]
    rows = holdout.take(np.sort(drawn))
    outputs = {"prediction": pipeline.predict(rows.X).tolist()}
    if comparison.data.classes is not None:
        outputs["probability"] = pipeline.predict_proba(rows.X).tolist()
    return Golden(rows=columns.documents(rows.X), outputs=outputs, actual=tuple(rows.y.tolist()))
