"""A container engine's command line, and servers in containers inside the limits of production.

The engine is `docker`, or what the variable DOCKER names: podman speaks the same commands.
"""

import contextlib
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from serving.errors import ServingError
from serving.process import START_SECONDS, Ports

CPUS = 0.9
MEMORY = "2g"
USER = "12345:0"  # any will do; group 0 is what OpenShift gives its arbitrary users
# What a server in production may do: nothing but read its image, write to /tmp and answer.
RESTRICTIONS = (
    *("--cpus", str(CPUS), "--memory", MEMORY, "--memory-swap", MEMORY),
    *("--read-only", "--tmpfs", "/tmp:size=64m,mode=1777"),  # noqa: S108 - the container's own
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", USER),
)
STOP_SECONDS = 30
LOG_LINES = 12


@dataclass(frozen=True)
class Container:
    """A server in a container that is ready."""

    id: str
    ports: Ports
    start_seconds: float

    @property
    def rest(self) -> str:
        """Where REST is asked."""
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def grpc(self) -> str:
        """Where gRPC is asked."""
        return f"127.0.0.1:{self.ports.grpc}"


def engine(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run one command of the engine; its output, with progress left on the terminal."""
    program = os.environ.get("DOCKER") or "docker"
    try:
        done = subprocess.run(
            [program, *arguments],
            check=False,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        raise ServingError(
            f"no {program} here; install Docker, or name another engine: DOCKER=podman"
        ) from None
    if done.returncode != 0:
        raise ServingError(
            f"`{program} {arguments[0]}` ended with {done.returncode}; it says why above"
        )
    return done.stdout.strip()


@contextlib.contextmanager
def running(image: str, ports: Ports) -> Iterator[Container]:
    """A ready server of this image on 127.0.0.1, inside the limits; it is gone on the way out."""
    started = time.monotonic()
    inside = {8080: ports.http, 8081: ports.grpc, 8082: ports.metrics}
    publish = [f"--publish=127.0.0.1:{outer}:{inner}" for inner, outer in inside.items()]
    container = engine("create", *RESTRICTIONS, *publish, image)
    try:
        engine("start", container)
        _wait_until_ready(container, ports)
        yield Container(container, ports, time.monotonic() - started)
    finally:
        engine("stop", "--time", str(STOP_SECONDS), container)
        engine("rm", "--force", container)


def _wait_until_ready(container: str, ports: Ports) -> None:
    url = f"http://127.0.0.1:{ports.http}/v2/health/ready"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        if engine("inspect", "--format", "{{.State.Running}}", container) != "true":
            break
        time.sleep(0.05)
    engine("logs", "--tail", str(LOG_LINES), container)
    raise ServingError("the container did not become ready; its last words are above")
