"""Measure one version for one decision: the edge that downloads, scores and serves."""

import json
import logging
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from registry import (
    capacity,
    compatibility,
    holdout,
    leaks,
    processes,
    service_gates,
    statistics,
    supply,
    versions,
)
from registry.artifact import Artifact
from registry.bootstrap import UndefinedScoreError
from registry.holdout import Holdout
from registry.measurements import (
    Capacity,
    Column,
    Data,
    Measurements,
    Provenance,
    Served,
    Supply,
)
from registry.metrics import METRICS, Answers
from registry.policy import Policy
from registry.processes import CommandFailedError
from registry.score import arrange, scoring
from registry.statistics import Contest
from registry.versions import Version

log = logging.getLogger(__name__)
SEED = 2026


@dataclass(frozen=True)
class Contestant:
    """A version on this machine, with room for what is made of it."""

    version: Version
    folder: Path
    artifact: Artifact

    @property
    def answers(self) -> Path:
        """Where its pipeline's answers are kept."""
        return self.folder / "answers.json"

    @property
    def bundle(self) -> Path:
        """Where it is packed to be served."""
        return self.folder / "bundle"


def measure(
    client: MlflowClient, candidate: Version, champion: Version | None, policy: Policy
) -> Measurements:
    """Everything that the gates look at; a champion is asked the candidate's hold-out rows."""
    with tempfile.TemporaryDirectory(prefix="assay-") as scratch:
        folder = Path(scratch)
        ours = _download(client, candidate, folder / "candidate")
        theirs = None if champion is None else _download(client, champion, folder / "champion")
        held = holdout.fetch(client, candidate, folder / "rows")
        parts = supply.audit(ours.artifact, candidate.digest)
        doubt = _doubt(held, parts, policy)
        with ThreadPoolExecutor(1) as aside:
            # Packing takes about as long as scoring, and neither waits for the other.
            bundled = None
            if doubt is None and _asks_a_server(candidate, policy):
                bundled = aside.submit(processes.bundle, candidate, ours.bundle)
            contest = _contest(ours, theirs, held, doubt)
        served = _serve(ours, held, contest, policy, bundled)
        identity, contract = ours.artifact.identity, ours.artifact.contract
        return Measurements(
            task=contract.task,
            data=Data(
                digest=held.digest,
                rows=len(held.table()),
                target=held.target,
                champion_digest=champion and holdout.recorded(client, champion, holdout.DIGEST),
            ),
            columns=_columns(held, ours),
            breaking=compatibility.breaking(theirs.artifact.contract, contract) if theirs else (),
            compiled=ours.artifact.parity,
            served=served,
            capacity=_capacity(candidate, served),
            supply=parts,
            provenance=Provenance(git_commit=identity.git_commit, git_dirty=identity.git_dirty),
            **_statistics(contest, held, policy),
        )


def _download(client: MlflowClient, version: Version, folder: Path) -> Contestant:
    log.info("downloading %s", version)
    return Contestant(version, folder, versions.download(client, version, folder / "model"))


def _doubt(held: Holdout, parts: Supply, policy: Policy) -> str | None:
    """Why the model must not be loaded, or not be scored on these rows."""
    if policy.supply is not None and (unsafe := service_gates.unsafe(parts, policy.supply)):
        return f"not loaded, because {unsafe[0]}"
    if held.digest != held.recorded_digest:
        return "the hold-out rows are not the ones that training recorded: their digest differs"
    return None


def _contest(
    ours: Contestant, theirs: Contestant | None, held: Holdout, doubt: str | None
) -> Contest | str:
    """Let both pipelines answer the same rows at the same time; a text says why that failed."""
    if doubt is not None:
        return doubt
    metric = METRICS.get(ours.artifact.identity.metric)
    if metric is None:
        return f"metric {ours.artifact.identity.metric!r} is not one of {', '.join(METRICS)}"
    log.info("scoring on %d hold-out rows", len(held.table()))
    with scoring() as start:
        begun = [
            start(each.artifact.folder, held.path, each.answers) for each in (ours, theirs) if each
        ]
    candidate = _answers(ours, held, begun[0])
    if isinstance(candidate, str) or theirs is None:
        return candidate if isinstance(candidate, str) else Contest(metric, candidate, None)
    champion = _answers(theirs, held, begun[1])
    if not isinstance(champion, str) and _answers_differ(ours, theirs):
        champion = "it answers something else: another task or other classes"
    if isinstance(champion, str):
        return Contest(metric, candidate, None, f"the champion cannot be compared: {champion}")
    return Contest(metric, candidate, champion)


def _answers_differ(ours: Contestant, theirs: Contestant) -> bool:
    one, other = ours.artifact.contract, theirs.artifact.contract
    return one.task != other.task or holdout.classes(one) != holdout.classes(other)


def _answers(one: Contestant, held: Holdout, scored: Future[None]) -> Answers | str:
    table, contract = held.table(), one.artifact.contract
    for column in contract.columns:
        if column.name not in table and not column.nullable:
            return f"the rows lack its column {column.name!r}"
    # A pipeline may fail in any way on rows that it was not made for.
    failure = scored.exception()
    if failure is not None:
        return f"{one.version} failed on the hold-out rows: {_line(failure)}"
    document = json.loads(one.answers.read_bytes())
    return holdout.answers(document, table[held.target], contract)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _asks_a_server(version: Version, policy: Policy) -> bool:
    tested = policy.capacity is None or capacity.last_load_test(version) is not None
    return policy.parity is not None or not tested


def _serve(
    ours: Contestant,
    held: Holdout,
    contest: Contest | str,
    policy: Policy,
    bundled: Future[None] | None,
) -> Served | str:
    """Start the version's bundle and compare what it answers with what the pipeline did."""
    if isinstance(contest, str):
        return contest
    if bundled is None:
        return "no gate needs it"
    whole: dict[str, list[Any]] = json.loads(ours.answers.read_bytes())
    table = held.table().reset_index(drop=True)
    wanted = policy.parity.rows if policy.parity else len(table)
    chosen = table.sample(min(wanted, len(table)), random_state=SEED)
    rows, answers = ours.folder / "asked.parquet", ours.folder / "expected.json"
    arrange(chosen, ours.artifact.contract).reset_index(drop=True).to_parquet(rows)
    answers.write_text(
        json.dumps({name: [each[i] for i in chosen.index] for name, each in whole.items()})
    )
    log.info("starting a bundle and asking it %d rows over every encoding", len(chosen))
    try:
        bundled.result()
        return processes.probe(ours.bundle, rows, answers)
    except CommandFailedError as error:
        return f"no bundle could be served: {error}"


def _capacity(version: Version, served: Served | str) -> Capacity | str:
    """The last load test, or else what the probe's one client saw."""
    test = capacity.last_load_test(version)
    if test is not None:
        return Capacity(
            source="load test",
            latency_ms=test.latency_ms,
            memory_mb=test.memory_mb,
            requests=test.requests,
            errors=test.errors,
            requests_per_second=test.requests_per_second,
        )
    if isinstance(served, str):
        return "this version has no load test, and no bundle of it was served"
    return Capacity(
        source="probe",
        latency_ms=served.latency_ms,
        memory_mb=served.memory_mb.peak,
        requests=served.requests,
        errors=served.errors,
    )


def _columns(held: Holdout, ours: Contestant) -> tuple[Column, ...]:
    """How much of the target each column tells alone, strongest first; needs no model."""
    table = held.table()
    regression = ours.artifact.contract.task == "regression"
    target = table[held.target]
    actual = target.to_numpy(dtype=float) if regression else target.astype(str).factorize()[0]
    told = (
        Column(
            name=column.name,
            strength=leaks.strength(table[column.name], actual, regression=regression),
        )
        for column in ours.artifact.contract.columns
        if column.name in table
    )
    return tuple(sorted(told, key=lambda column: -column.strength))


def _statistics(contest: Contest | str, held: Holdout, policy: Policy) -> dict[str, Any]:
    names = ("quality", "slices", "calibration", "errors")
    if isinstance(contest, str):
        return dict.fromkeys(names, contest)
    quantiles = policy.errors.quantiles if policy.errors else ()
    try:
        return {
            "quality": statistics.quality(contest),
            "slices": statistics.slices(contest, held.table(), held.slices),
            "calibration": statistics.calibration(contest.candidate),
            "errors": statistics.error_quantiles(contest, quantiles),
        }
    except UndefinedScoreError as error:
        return dict.fromkeys(names, str(error))
