"""An image under load: it meets an objective inside its limits, and dies clearly beyond them."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from serving import container
from serving.process import free_ports
from tests.image.conftest import Built
from tests.load.conftest import bystanders
from tests.load.run import RESULT, ROOT, Result

pytestmark = pytest.mark.container

LIMIT = "120m"  # enough to serve, not enough for the largest requests
MOST_MEMORY_MB = 300
READY_SECONDS = 60


def _wait_until_ready(rest: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{rest}/v2/health/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    pytest.fail("the container did not become ready")


def test_a_short_load_is_met_inside_the_limits(built: Built, tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = ["run", built.bundle.folder, "short", "--image", built.image.tag, "--output", output]
    done = subprocess.run(
        [sys.executable, "-m", "tests.load", *map(str, words)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = Result.model_validate_json((output / RESULT).read_bytes())
    assert (result.cpus, result.memory_limit_mb) == (0.9, 2048 * 2**20 / 1e6)
    assert result.verdict.peak_memory_mb is not None
    assert result.verdict.peak_memory_mb < MOST_MEMORY_MB
    (stage,) = result.verdict.stages
    assert stage.usage.throttled is not None
    assert stage.usage.server_cpus is not None
    assert 0 < stage.usage.server_cpus <= 1


def _ask_often(rest: str, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    for _ in range(20):
        httpx.post(f"{rest}/predict", content=body, headers=headers, timeout=30)


def _ran_out_of_memory(server: str, since: int) -> bool:
    """Whether the engine says so: in the state or, where it heard of the end first, as an event."""
    if container.engine("inspect", "--format={{.State.OOMKilled}}", server).strip() == "true":
        return True
    span = (f"--since={since}", f"--until={int(time.time()) + 2}")
    chosen = (f"--filter=container={server}", "--filter=event=oom")
    return container.engine("events", *span, *chosen) != ""


def test_the_limit_is_a_clear_death_and_no_wrong_answer(built: Built) -> None:
    ports = free_ports()
    rest, grpc = f"http://127.0.0.1:{ports.http}", f"127.0.0.1:{ports.grpc}"
    restrictions = [LIMIT if word == container.MEMORY else word for word in container.RESTRICTIONS]
    publish = [f"--publish=127.0.0.1:{ports.http}:8080", f"--publish=127.0.0.1:{ports.grpc}:8081"]
    server = container.engine("create", *restrictions, *publish, built.image.tag)
    row = dict(built.bundle.artifact.golden.rows[0]) | {"native_country": "x" * 1200}
    greedy = json.dumps({"rows": [row] * 10_000})
    try:
        container.engine("start", server)
        _wait_until_ready(rest)
        since = int(time.time())
        with bystanders(built.bundle, rest, grpc) as seen:
            time.sleep(0.3)
            with pytest.raises(httpx.TransportError):
                _ask_often(rest, greedy)
        assert container.engine("wait", server).strip() == "137"
        assert _ran_out_of_memory(server, since)
        assert min(seen.answered.values()) > 10
        assert [each for each in seen.wrong if ": row " in each] == []

        container.engine("start", server)
        _wait_until_ready(rest)
        with bystanders(built.bundle, rest, grpc) as seen:
            time.sleep(0.5)
        assert seen.wrong == []
    finally:
        container.engine("rm", "--force", server)
