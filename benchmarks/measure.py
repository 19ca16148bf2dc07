"""Rounds: each contender in turn is started, checked, asked in every case, and stopped."""

import contextlib
import logging
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvloop

from benchmarks import grpc, rest
from benchmarks.contenders import APPS, Contender
from benchmarks.environments import BUILD, interpreter
from benchmarks.errors import BenchmarkError
from benchmarks.forms import Form, V2Grpc, V2Rest, work
from benchmarks.load import Client, Target, Window, check, drive
from benchmarks.processes import Cores, Launch, Server, Usage, running, take_cores
from benchmarks.results import Case, Measured, Started
from benchmarks.subject import Subject, prepare
from serving.process import Ports, free_ports

logger = logging.getLogger(__name__)

NOTHING = b'{"nothing":true}'  # what apps/nothing.py answers
CLIENTS: dict[str, Client] = {"REST": rest, "gRPC": grpc}


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    contenders: Sequence[Contender]
    cases: Sequence[Case]
    rounds: int
    seconds: dict[int, float]
    """Length of a timed window, by rows in a request."""
    own_environments: bool
    """Whether each contender gets its own lock; without, all run in the project's."""

    @property
    def environments(self) -> set[str]:
        """The locks of its contenders."""
        if not self.own_environments:
            return {"develop"}
        return {contender.environment for contender in self.contenders}

    def interpreter(self, contender: Contender) -> Path:
        """The Python that runs the contender."""
        return interpreter(contender.environment) if self.own_environments else Path(sys.executable)


@dataclass(frozen=True)
class Bench:
    """Where it is measured."""

    subject: Subject
    cores: Cores
    folder: Path
    """For what contenders write."""


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """A bench of two cores, with the model on it."""
    cores = take_cores()
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=BUILD) as name:
        folder = Path(name)
        yield Bench(prepare(folder), cores, folder)


def run(plan: Plan, place: Bench) -> tuple[list[Started], list[Measured]]:
    """All rounds; contenders take turns at going first."""
    started: list[Started] = []
    measured: list[Measured] = []
    for number in range(plan.rounds):
        first = number % len(plan.contenders)
        for contender in [*plan.contenders[first:], *plan.contenders[:first]]:
            start, figures = _turn(contender, number + 1, plan, place)
            started.append(start)
            measured.extend(figures)
    return started, measured


def ceiling(plan: Plan, place: Bench) -> list[Measured]:
    """The clients against a server that does nothing, asked what the others are."""
    subject, ports = place.subject, free_ports()
    forms: dict[str, Form] = {
        "REST": V2Rest(subject.version.name),
        "gRPC": V2Grpc(subject.version.name),
    }
    targets = _targets(forms, subject, 1, ports)
    for target in targets.values():
        target.work.known.update(dict.fromkeys(range(len(target.work.requests)), NOTHING))
    command = [sys.executable, str(APPS / "nothing.py"), str(ports.http), str(ports.grpc)]
    launch = Launch(command, {}, place.folder)
    with running(
        launch, place.cores, place.folder / "nothing.log", lambda: _answers(targets["REST"])
    ) as server:
        return [
            _measured("nothing", 1, case, _window(targets[case.way], case, plan, server))
            for case in plan.cases
            if case.rows == 1
        ]


@contextlib.contextmanager
def checked(
    contender: Contender, rows: Collection[int], python: Path, place: Bench
) -> Iterator[tuple[Server, dict[int, dict[str, Target]]]]:
    """A started contender whose every answer is right, and how to ask it, by rows and way."""
    ports, forms = free_ports(), contender.forms(place.subject)
    targets = {count: _targets(forms, place.subject, count, ports) for count in sorted(rows)}
    every = [target for ways in targets.values() for target in ways.values()]
    folder = place.folder / contender.name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    launch = contender.launch(python, place.subject, folder, ports)
    with running(launch, place.cores, folder / "log", lambda: _answers(every[0])) as server:
        for target in every:
            for complaint in uvloop.run(check(target)):
                raise BenchmarkError(f"{contender.name}, before it is timed: {complaint}")
        yield server, targets


def _turn(
    contender: Contender, number: int, plan: Plan, place: Bench
) -> tuple[Started, list[Measured]]:
    rows = {case.rows for case in plan.cases}
    figures = []
    with checked(contender, rows, plan.interpreter(contender), place) as (server, targets):
        for case in plan.cases:
            if case.way in targets[case.rows]:
                window = _window(targets[case.rows][case.way], case, plan, server)
                figures.append(_measured(contender.name, number, case, window))
        memory = server.memory()
    started = Started(
        contender=contender.name,
        round=number,
        seconds=server.start_seconds,
        memory_mb=memory.mb,
        processes=memory.processes,
    )
    _log(started, figures)
    return started, figures


def _targets(
    forms: Mapping[str, Form], subject: Subject, rows: int, ports: Ports
) -> dict[str, Target]:
    addresses = {"REST": f"127.0.0.1:{ports.http}", "gRPC": f"127.0.0.1:{ports.grpc}"}
    return {
        way: Target(CLIENTS[way], addresses[way], work(form, subject, rows))
        for way, form in forms.items()
    }


def _answers(target: Target) -> bool:
    """Whether the server is there and its answer is right."""
    try:
        body = target.client.exchange(target.address, target.work.requests[0])
    except OSError:
        return False
    return target.work.complaint(0, body) is None


def _window(target: Target, case: Case, plan: Plan, server: Server) -> Window[Usage]:
    seconds = plan.seconds[case.rows]
    return uvloop.run(drive(target, case.connections, seconds, server.meter()))


def _measured(contender: str, number: int, case: Case, window: Window[Usage]) -> Measured:
    requests = len(window.latencies)
    cpu_seconds = window.after.server - window.before.server
    core_seconds = window.after.core - window.before.core
    p50, p99 = np.percentile(window.latencies, (50, 99)) * 1000
    return Measured(
        contender=contender,
        round=number,
        case=case,
        requests=requests,
        requests_per_second=requests / window.seconds,
        p50_ms=p50,
        p99_ms=p99,
        cpu_ms=cpu_seconds / requests * 1000,
        client_busy=window.client_busy,
        others_busy=max(0.0, core_seconds - cpu_seconds) / window.seconds,
        failures=len(window.failures),
        first_failure=next(iter(window.failures), None),
    )


def _log(started: Started, figures: Sequence[Measured]) -> None:
    logger.info(
        "round %d: %s answers after %.1f s, holds %.0f MB in %d processes",
        started.round,
        started.contender,
        started.seconds,
        started.memory_mb,
        started.processes,
    )
    for each in figures:
        logger.info(
            "  %-4s %3d rows, %2d connections: %8.1f/s, p50 %7.2f ms, p99 %7.2f ms%s",
            each.case.way,
            each.case.rows,
            each.case.connections,
            each.requests_per_second,
            each.p50_ms,
            each.p99_ms,
            f", {each.failures} FAILED: {each.first_failure}" if each.failures else "",
        )
