"""A container serves inside production's limits, and stops without losing an answer."""

import concurrent.futures
import http.client
import json
import signal
import subprocess
import sys
import time

import pytest
import yaml

from serving import container
from serving.ask import ask_server
from serving.clients import v2_request
from serving.container import Container
from serving.image import ROOT
from serving.process import free_ports
from tests.image.conftest import Built

pytestmark = [pytest.mark.container, pytest.mark.slow]


def inspect(server: Container) -> dict[str, dict[str, object]]:
    (facts,) = json.loads(container.engine("inspect", server.id))
    return dict(facts)


def status(server: Container) -> dict[str, str]:
    """/proc/1/status: MLServer is process 1."""
    text = container.engine("exec", server.id, "cat", "/proc/1/status")
    return {
        name: value.strip()
        for name, _, value in (line.partition(":") for line in text.splitlines())
    }


def test_it_runs_with_nothing_but_what_it_needs(server: Container) -> None:
    host = inspect(server)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["NanoCpus"] == 900_000_000
    assert host["Memory"] == 2 * 2**30
    ports = inspect(server)["NetworkSettings"]["Ports"]
    assert isinstance(ports, dict)
    published = [entry["HostIp"] for entries in ports.values() for entry in entries]
    assert published == ["127.0.0.1"] * 3
    process = status(server)
    assert process["Uid"].split() == ["12345"] * 4
    assert (process["CapEff"], process["CapBnd"]) == ("0" * 16, "0" * 16)
    assert process["NoNewPrivs"] == "1"
    command = container.engine("exec", server.id, "cat", "/proc/1/cmdline")
    assert command.rstrip("\0").split("\0") == ["python", "-m", "serving.runtime", "/opt/bundle"]
    with pytest.raises(container.ServingError):
        container.engine("exec", server.id, "touch", "/opt/bundle/x")


def test_it_answers_the_golden_rows(built: Built, server: Container) -> None:
    golden = built.bundle.artifact.golden
    asked = ask_server(built.bundle, len(golden.rows), server.rest, server.grpc)
    for answers in asked.answers.values():
        assert list(answers) == golden.outputs["prediction"]


def test_it_starts_within_three_seconds_of_its_share(built: Built) -> None:
    """In CPU time, which a busy machine does not stretch: 3 s at 0.9 CPU."""
    with container.running(built.image.tag, free_ports()) as server:
        stat = container.engine("exec", server.id, "cat", "/proc/1/stat")
        ticks = sum(int(field) for field in stat.rsplit(")", 1)[1].split()[11:13])  # user, system
        assert ticks / 100 <= 3 * container.CPUS
        peak = int(status(server)["VmHWM"].split()[0]) * 1024
        assert peak <= 300e6


def test_it_becomes_ready_without_any_network(built: Built) -> None:
    """The health check is the image's own, so nothing needs to reach in."""
    check = inspect_image(built)["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    name = container.engine(
        "run", "--detach", "--network=none", *container.RESTRICTIONS, built.image.tag
    )
    try:
        with pytest.raises(container.ServingError):
            container.engine("exec", "--env=MLSERVER_HTTP_PORT=1", name, *check[1:])
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                container.engine("exec", name, *check[1:])
                break
            except container.ServingError:
                time.sleep(0.2)
        else:
            pytest.fail("never healthy")
    finally:
        container.engine("rm", "--force", name)


def inspect_image(built: Built) -> dict[str, dict[str, list[str]]]:
    (facts,) = json.loads(container.engine("image", "inspect", built.image.tag))
    return dict(facts["Config"])


def test_docker_stop_under_load_loses_no_accepted_request(built: Built) -> None:
    row = built.bundle.artifact.golden.rows[0]
    body = json.dumps(v2_request(built.bundle.artifact.contract, [row]))

    def ask(port: int) -> int:
        """Ask on one connection until the server says it closes it; any break in between raises."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        answered = 0
        while True:
            connection.request("POST", "/v2/models/income/infer", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            answered += 1
            if answer.will_close:
                return answered

    ports = free_ports()
    with (
        container.running(built.image.tag, ports) as server,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        clients = [pool.submit(ask, ports.http) for _ in range(8)]
        time.sleep(1)
        container.engine("stop", server.id)
        answered = [client.result(30) for client in clients]
        assert inspect(server)["State"]["ExitCode"] == 0
    assert min(answered) > 10


def test_serve_image_asks_and_leaves_nothing_after_ctrl_c(built: Built) -> None:
    ports = free_ports()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "serving", "serve-image", "income", "--version", "1"),
            *(f"--http-port={ports.http}", f"--grpc-port={ports.grpc}"),
            f"--metrics-port={ports.metrics}",
        ],
        cwd=built.store.root,
        env=built.store.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Serving on"):
            process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "V2 REST" in said
    left = container.engine("ps", "--all", "--quiet", f"--filter=publish={ports.http}")
    assert left == ""


def test_compose_sets_the_same_limits() -> None:
    """Two ways to run one image; this needs no engine."""
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["model"]
    options = dict(zip(container.RESTRICTIONS, container.RESTRICTIONS[1:], strict=False))
    assert str(service["cpus"]) == options["--cpus"]
    assert (service["mem_limit"], service["memswap_limit"]) == (container.MEMORY,) * 2
    assert service["user"] == options["--user"]
    assert service["tmpfs"] == options["--tmpfs"]
    assert service["cap_drop"] == [options["--cap-drop"]]
    assert service["security_opt"] == [options["--security-opt"]]
    assert service["read_only"] is True
    assert "--read-only" in options
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
