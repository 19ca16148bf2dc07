"""What is loaded: a process or a container of our own, or a server that somebody else started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from serving import container, process
from serving.bundle import Bundle
from serving.process import free_ports
from tests.load.watch import Process, Source, container_pid, source_of


@dataclass(frozen=True)
class Target:
    """Where a server is, and how to see what it uses."""

    rest: str
    grpc: str
    source: Source | None
    where: str
    """For people."""


@contextmanager
def own_process(bundle: Bundle) -> Iterator[Target]:
    """The bundle, served on one processor."""
    with _apart() as (ours, others):
        os.sched_setaffinity(0, {ours})
        with process.running(bundle.folder) as server:
            os.sched_setaffinity(0, others)
            where = "a process on one processor" + (", Locust's own" if ours in others else "")
            yield Target(server.rest, server.grpc, Process(server.process.pid), where)


@contextmanager
def own_container(image: str) -> Iterator[Target]:
    """The image, run inside production's limits, on one processor."""
    with _apart() as (ours, others), container.running(image, free_ports()) as server:
        os.sched_setaffinity(0, others)
        container.engine("update", f"--cpuset-cpus={ours}", server.id)
        source = source_of(container_pid(server.id))
        yield Target(server.rest, server.grpc, source, f"{image}, {_limits(source)}")


def running_server(
    rest: str, grpc: str | None, container_name: str | None, pid: int | None
) -> Target:
    """A server that runs already; what it uses is seen where its container or process is named."""
    if container_name is not None:
        pid = container_pid(container_name)
    source = None if pid is None else source_of(pid)
    where = rest if source is None else f"{container_name or rest}, {_limits(source)}"
    return Target(rest.rstrip("/"), grpc or f"{urlsplit(rest).hostname}:8081", source, where)


@contextmanager
def _apart() -> Iterator[tuple[int, set[int]]]:
    """A processor for the server, and the others for this process and Locust with it."""
    processors = os.sched_getaffinity(0)
    ours = min(processors)
    try:
        yield ours, processors - {ours} or processors
    finally:
        os.sched_setaffinity(0, processors)


def _limits(source: Source) -> str:
    cpus, memory_mb = source.limits()
    return f"{cpus:g} CPU and {memory_mb:.0f} MB"
