"""What Locust itself can do: its users against a server that is faster than they are."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from serving.bundle import Bundle
from serving.process import free_ports, stop
from tests.load.errors import LoadTestError
from tests.load.load_profile import Constant, Profile, read
from tests.load.run import ROOT, Result, run
from tests.load.targets import Target

USERS = 64
SECONDS = 10.0
START_SECONDS = 60.0


def measure(bundle: Bundle, profile_name: str) -> Iterator[tuple[str, Result]]:
    """The profile's mix, then each of its ways alone: asked by users who never wait."""
    profile = read(profile_name)
    mixes = {"the profile's mix": profile.mix.ways} | {
        way: {way: 1.0} for way, share in profile.mix.ways.items() if 0 < share < 1
    }
    with _trivial(bundle) as target, tempfile.TemporaryDirectory(prefix="assay-load-") as folder:
        for name, ways in mixes.items():
            mix = profile.mix.model_copy(update={"ways": ways})
            asked = _flat_out(profile.model_copy(update={"mix": mix}))
            yield name, run(bundle, asked, target, Path(folder) / "run")


def _flat_out(profile: Profile) -> Profile:
    changes = {
        "unit": "users",
        "users": None,
        "shape": Constant(kind="constant", level=USERS, seconds=SECONDS),
    }
    return Profile.model_validate(profile.model_copy(update=changes).model_dump())


@contextmanager
def _trivial(bundle: Bundle) -> Iterator[Target]:
    ports = free_ports()
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:1])
    command = [sys.executable, "-m", "tests.load.trivial", str(bundle.folder.resolve())]
    process = subprocess.Popen([*command, str(ports.http), str(ports.grpc)], cwd=ROOT)
    os.sched_setaffinity(0, processors[1:] or processors)
    target = Target(
        f"http://127.0.0.1:{ports.http}", f"127.0.0.1:{ports.grpc}", None, "a trivial server"
    )
    try:
        _wait_until_ready(process, target.rest)
        yield target
    finally:
        stop(process)
        os.sched_setaffinity(0, processors)


def _wait_until_ready(process: subprocess.Popen[bytes], rest: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(f"{rest}/health", timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise LoadTestError("the trivial server did not start; its message is above")
