"""The comparison finds what is wrong, writes what it found, and judges it by what was promised."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvloop

from benchmarks import rest
from benchmarks.circumstances import circumstances
from benchmarks.contenders import APPS, ASSAY_ONNX, BARE, STOCK, STOCK_ALONE
from benchmarks.environments import pins
from benchmarks.forms import V2Rest, Work
from benchmarks.load import Target, check, drive
from benchmarks.openloop import OpenLoop
from benchmarks.processes import Cores, Launch, Server, running, take_cores, tree
from benchmarks.results import Case, Measured, Results, Started
from benchmarks.soak import Soaked, slope
from benchmarks.summary import verdicts
from registry.contract import Column, Contract, Output
from serving.process import free_ports
from tests.conftest import Store

NOTHING = b'{"nothing":true}'
CONTRACT = Contract(
    task="binary",
    columns=(Column(name="age", type="long", nullable=False),),
    outputs=(
        Output(name="prediction", datatype="BYTES", shape=(-1,)),
        Output(name="probability", datatype="FP64", shape=(-1, 2), classes=("no", "yes")),
    ),
)


def one_row() -> Work:
    """One request whose right answer is "yes", with nine tenths."""
    form = V2Rest("income")
    expected = {"prediction": np.array(["yes"]), "probability": np.array([[0.1, 0.9]])}
    return Work(form, CONTRACT, [form.request(CONTRACT, [{"age": 40}], "0")], [expected])


def answer(label: str = "yes", probability: float = 0.9, name: str = "0") -> bytes:
    return (
        f'{{"id":"{name}","outputs":[{{"name":"prediction","data":["{label}"]}},'
        f'{{"name":"probability","shape":[1,2],"data":[{1 - probability},{probability}]}}]}}'
    ).encode()


# --- the trial run --------------------------------------------------------------------------------


def test_a_trial_run_checks_answers_and_writes_its_results(
    income_store: Store, tmp_path: Path
) -> None:
    ran = income_store.run("benchmarks", "compare", "--quick", "--output", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    results = Results.model_validate_json((tmp_path / "comparison.json").read_bytes())
    asked = {(each.contender, each.case.way) for each in results.measured}
    assert asked == {(BARE.name, "REST"), (ASSAY_ONNX.name, "REST"), (ASSAY_ONNX.name, "gRPC")}
    assert all(each.requests > 0 and each.failures == 0 for each in results.measured)
    assert {each.contender for each in results.started} == {BARE.name, ASSAY_ONNX.name}
    assert ASSAY_ONNX.name in (tmp_path / "comparison.md").read_text()
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


# --- what is wrong is found -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(answer(), None, id="right"),
        pytest.param(answer(label="no"), "1 of 1 labels differ", id="another label"),
        pytest.param(answer(probability=0.90001), "largest difference 1e-05", id="probability off"),
        pytest.param(answer(name="7"), "answers request 7", id="another request's answer"),
        pytest.param(b'{"outputs":[]}', "cannot be read", id="no outputs"),
        pytest.param(b"busy", "cannot be read", id="no JSON"),
    ],
)
def test_an_answer_is_compared_with_the_pipelines(body: bytes, complaint: str | None) -> None:
    found = one_row().complaint(0, body)
    assert (found is None) if complaint is None else (complaint in str(found))


@pytest.fixture
def cores() -> Iterator[Cores]:
    """Two cores, given back after the test."""
    before = os.sched_getaffinity(0)
    yield take_cores()
    os.sched_setaffinity(0, before)


@pytest.fixture
def nothing(cores: Cores, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """A server that gives every request the same answer, right for none, and its address."""
    ports = free_ports()
    command = [sys.executable, str(APPS / "nothing.py"), str(ports.http), str(ports.grpc)]
    address = f"127.0.0.1:{ports.http}"

    def there() -> bool:
        try:
            return rest.exchange(address, one_row().requests[0]) == NOTHING
        except OSError:
            return False

    launch = Launch(command, {}, tmp_path)
    with running(launch, cores, tmp_path / "log", there) as server:
        yield server, address


def test_wrong_answers_are_counted_before_under_and_after_load(
    nothing: tuple[Server, str],
) -> None:
    server, address = nothing
    target = Target(rest, address, one_row())
    assert len(uvloop.run(check(target))) == 1
    window = uvloop.run(drive(target, 2, 0.2, server.meter()))
    assert len(window.failures) >= len(window.latencies) > 0
    soaking = OpenLoop(one_row(), rate=200)
    uvloop.run(soaking.run(address, 0.5))
    assert soaking.answers.failures == len(soaking.answers.latencies) > 50


def test_the_open_loop_keeps_its_rate_and_accepts_right_answers(
    nothing: tuple[Server, str],
) -> None:
    work = one_row()
    work.known[0] = NOTHING
    soaking = OpenLoop(work, rate=400)
    uvloop.run(soaking.run(nothing[1], 1.0))
    assert soaking.answers.failures == 0
    assert 300 < len(soaking.answers.latencies) < 500  # five standard deviations


def test_a_servers_processes_are_all_counted_and_ended(cores: Cores, tmp_path: Path) -> None:
    child = "import time; x = bytearray(30_000_000); print(flush=True); time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    log = tmp_path / "log"
    launch = Launch([sys.executable, "-c", parent], {}, tmp_path)
    with running(launch, cores, log, lambda: bool(log.read_text())) as server:
        pids = tree(server.process.pid)
        memory = server.memory()
        assert (len(pids), memory.processes) == (2, 2)
        assert 30 < memory.mb < 80
        assert 0 < server.meter()().server < 5
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


# --- what was promised ----------------------------------------------------------------------------


def results(onnx: float, memory: float) -> Results:
    """Two rounds in which stock answers 100/s and 110/s, without workers 125/s."""
    case = Case(way="REST", rows=1, connections=32)
    rates = {ASSAY_ONNX.name: (onnx, onnx), STOCK.name: (100, 110), STOCK_ALONE.name: (125, 125)}
    measured = [
        Measured(
            contender=contender,
            round=number,
            case=case,
            requests=100,
            requests_per_second=rate,
            p50_ms=1,
            p99_ms=1,
            cpu_ms=1,
            client_busy=0.1,
            others_busy=0,
            failures=0,
            first_failure=None,
        )
        for contender, each in rates.items()
        for number, rate in enumerate(each)
    ]
    sizes = {ASSAY_ONNX.name: memory, STOCK.name: 400.0, STOCK_ALONE.name: 250.0}
    started = [
        Started(contender=each, round=0, seconds=1, memory_mb=mb, processes=1)
        for each, mb in sizes.items()
    ]
    return Results(
        circumstances=circumstances("income version 1", ["develop"]),
        seconds={1: 1.0},
        ceiling=(),
        started=tuple(started),
        measured=tuple(measured),
    )


@pytest.mark.parametrize(
    ("rate", "memory", "held"),
    [
        pytest.param(3125.0, 175.0, {"requests_per_second", "memory_mb"}, id="at the bounds"),
        pytest.param(3100.0, 175.0, {"memory_mb"}, id="too slow for the better stock"),
        pytest.param(3125.0, 176.0, {"requests_per_second"}, id="too large for the smaller stock"),
    ],
)
def test_the_better_stock_server_is_the_one_to_beat(
    rate: float, memory: float, held: set[str]
) -> None:
    judged = [
        each
        for each in verdicts(results(rate, memory))
        if each.objective.measure in {"requests_per_second", "memory_mb"}
    ]
    assert len(judged) == 2
    assert {each.against for each in judged} == {STOCK_ALONE.name}
    assert {each.objective.measure for each in judged if each.holds} == held


@pytest.mark.parametrize(
    ("growth", "failures", "holds"),
    [
        pytest.param(0.0, 0, True, id="flat"),
        pytest.param(3.0, 0, False, id="3 MB an hour"),
        pytest.param(0.0, 1, False, id="one wrong answer"),
    ],
)
def test_a_soak_fails_on_a_leak_and_on_a_wrong_answer(
    growth: float, failures: int, holds: bool
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 600)
    memory = [(float(s), 120 + growth * s / 3600 + noise[s]) for s in range(600)]
    soaked = Soaked(
        circumstances=circumstances("income version 1", ["onnx"]),
        contender=ASSAY_ONNX.name,
        capacity=4000,
        rate=3200,
        seconds=600,
        requests=1_920_000,
        failures=failures,
        first_failure=None,
        latency_ms={"p99": 3.0},
        slope=slope(memory),
        memory=tuple(memory),
    )
    assert soaked.slope.low < growth < soaked.slope.high
    assert soaked.holds is holds


@pytest.mark.parametrize("environment", ["stock", "bentoml", "bare"])
def test_contenders_load_the_model_with_the_packages_that_trained_it(environment: str) -> None:
    everything, theirs = pins("develop"), pins(environment)
    for package in {"mlflow", "numpy", "onnxruntime", "pandas", "scikit-learn", "skops"} & set(
        theirs
    ):
        assert theirs[package] == everything[package], f"{package}: see benchmarks/requirements"
