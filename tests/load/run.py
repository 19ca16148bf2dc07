"""One run: a server, Locust in a process of its own, and a watch on what both use."""

import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import yaml
from pydantic import BaseModel, ConfigDict

from registry.artifact import Engine
from serving.bundle import Bundle
from tests.load.errors import LoadTestError
from tests.load.load_profile import Profile
from tests.load.records import REQUESTS, STAGES, Records, summarise
from tests.load.targets import Target
from tests.load.verdict import Verdict, judge
from tests.load.watch import Process, watching

ROOT = Path(__file__).resolve().parent.parent.parent
LOCUSTFILE = ROOT / "tests" / "load" / "locustfile.py"
PROFILE = "profile.yaml"
RESULT = "result.json"
LOG = "locust.log"
# What Locust may take beyond its profile: to import, to make requests, to end, to write.
OVERHEAD_SECONDS = 60
STOP_SECONDS = 15
LOG_LINES = 12


class Result(BaseModel):
    """A run and what came out."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    at: datetime
    model: str
    version: int
    digest: str
    engine: Engine
    where: str
    cpus: float | None
    """What the replica may use; None where it could not be seen."""
    memory_limit_mb: float | None
    machine: str
    profile: Profile
    verdict: Verdict
    failures: dict[str, int]


def run(bundle: Bundle, profile: Profile, target: Target, output: Path) -> Result:
    """Load a server as the profile says, and judge it; everything measured goes to `output`."""
    _check_identity(bundle, target)
    _clear(output)
    (output / PROFILE).write_text(yaml.safe_dump(profile.model_dump(mode="json")))
    with (output / LOG).open("wb") as log:
        locust = subprocess.Popen(
            _command(bundle, target, output), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
    with watching(target.source, Process(locust.pid)) as watch:
        _wait(locust, profile.seconds + OVERHEAD_SECONDS)
    if not (output / STAGES).is_file() or not (output / REQUESTS).is_file():
        raise LoadTestError(f"Locust ended with {locust.returncode}:\n{_tail(output / LOG)}")
    records, spans = Records.load(output)
    limits = None if target.source is None else target.source.limits()
    verdict = judge(
        profile,
        [summarise(records, span) for span in spans],
        [watch.usage(span) for span in spans],
        watch.peak_memory_mb,
    )
    manifest = bundle.manifest
    result = Result(
        at=datetime.now(UTC),
        model=manifest.model_name,
        version=manifest.version,
        digest=manifest.model_digest,
        engine=manifest.engine,
        where=target.where,
        cpus=None if limits is None else limits.cpus,
        memory_limit_mb=None if limits is None else limits.memory_mb,
        machine=_machine(),
        profile=profile,
        verdict=verdict,
        failures=dict(records.failures.most_common(20)),
    )
    (output / RESULT).write_text(result.model_dump_json(indent=2) + "\n")
    return result


def _check_identity(bundle: Bundle, target: Target) -> None:
    """A server of another model would be all wrong answers."""
    try:
        digest = httpx.get(f"{target.rest}/health", timeout=10).json()["model"]["digest"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise LoadTestError(f"{target.rest} does not say which model it serves: {error}") from None
    if digest != bundle.manifest.model_digest:
        raise LoadTestError(
            f"{target.rest} serves model {digest[:12]}, {bundle.folder} is "
            f"{bundle.manifest.model_digest[:12]}; name the bundle that is served"
        )


def _clear(output: Path) -> None:
    """Make room for a run, in a folder of an older one at most."""
    if output.exists() and any(output.iterdir()):
        if not (output / PROFILE).is_file():
            raise LoadTestError(f"{output} is no folder of a load test; name another with --output")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)


def _command(bundle: Bundle, target: Target, output: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)),
        *("--headless", "--only-summary", "--exit-code-on-error", "0"),
        *("--stop-timeout", str(STOP_SECONDS)),
        *("--bundle", str(bundle.folder.resolve()), "--load", str((output / PROFILE).resolve())),
        *("--host", target.rest, "--grpc", target.grpc),
        *("--results", str(output.resolve()), "--html", str((output / "report.html").resolve())),
        *("--csv", str((output / "locust").resolve()), "--csv-full-history"),
    ]


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for the end; gRPC under gevent may hang in it, when all has been written."""
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _machine() -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{len(models)} x {models[0] if models else 'unknown processor'}"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
