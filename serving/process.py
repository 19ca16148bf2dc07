"""A server process of our own: started on free ports, waited for, and stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ServingError

START_SECONDS = 60.0  # a pyfunc bundle takes 5 s here; a busy machine several times that
STOP_SECONDS = 30.0
LOG_LINES = 12


@dataclass(frozen=True)
class Ports:
    """Where one server listens."""

    http: int
    grpc: int
    metrics: int

    def environment(self, host: str) -> dict[str, str]:
        """MLServer's own variables for these ports."""
        return {
            "MLSERVER_HOST": host,
            "MLSERVER_HTTP_PORT": str(self.http),
            "MLSERVER_GRPC_PORT": str(self.grpc),
            "MLSERVER_METRICS_PORT": str(self.metrics),
        }


@dataclass(frozen=True)
class Server:
    """A server that is ready."""

    process: subprocess.Popen[bytes]
    ports: Ports
    log: Path
    start_seconds: float

    @property
    def rest(self) -> str:
        """Where REST is asked."""
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def grpc(self) -> str:
        """Where gRPC is asked."""
        return f"127.0.0.1:{self.ports.grpc}"

    @property
    def metrics(self) -> str:
        """Where Prometheus asks."""
        return f"http://127.0.0.1:{self.ports.metrics}/metrics"

    def peak_memory_mb(self) -> float:
        """The largest resident set so far, in MB of 10⁶ bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024 / 1e6


def command(bundle: Path) -> list[str]:
    """The command line of a server of this bundle, as the image starts it."""
    return [sys.executable, "-m", "serving.runtime", str(bundle)]


def free_ports() -> Ports:
    """Three ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return Ports(*(each.getsockname()[1] for each in sockets))


@contextlib.contextmanager
def running(bundle: Path) -> Iterator[Server]:
    """A ready server of this bundle on 127.0.0.1; it is stopped on the way out."""
    ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="assay-server-") as folder:
        log = Path(folder) / "log"
        started = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(bundle.resolve()),
                env={**os.environ, **ports.environment("127.0.0.1")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_ready(process, ports, log)
            yield Server(process, ports, log, time.monotonic() - started)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ask the process to end, and end it if it does not; its exit code.

    As Ctrl-C does: on SIGTERM a server of a bundle waits for clients to move away.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def _wait_until_ready(process: subprocess.Popen[bytes], ports: Ports, log: Path) -> None:
    url = f"http://127.0.0.1:{ports.http}/v2/health/ready"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServingError(f"the server ended with {process.returncode}:\n{_tail(log)}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.02)
    raise ServingError(f"the server is not ready after {START_SECONDS:.0f} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
