"""The last load test of a version: kept on its run, found by a tag of the version."""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry.errors import RegistryError
from registry.measurements import Percentiles
from registry.versions import Version

LOAD_TEST = "assay.load_test"


class LoadTest(BaseModel):
    """What one replica carried inside its limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    load_test_version: int = 1
    model_digest: str
    profile: str
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    seconds: float
    requests: int
    errors: int
    """Wrong answers, failures and refusals of valid requests."""
    requests_per_second: float
    """The highest rate that met the profile's objective."""
    latency_ms: Percentiles
    memory_mb: float
    """Peak of the replica."""
    cpus: float
    """The replica's limit."""
    memory_limit_mb: float


def record(client: MlflowClient, version: Version, test: LoadTest) -> None:
    """Log a load test on the version's run, and make it the version's last."""
    path = f"load/{version.number}/{test.at:%Y%m%dT%H%M%SZ}.json"
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / Path(path).name
        file.write_text(test.model_dump_json(indent=2))
        client.log_artifact(version.run_id, str(file), str(Path(path).parent))
    for name, value in (
        ("load_requests_per_second", test.requests_per_second),
        ("load_p50_ms", test.latency_ms.p50),
        ("load_p95_ms", test.latency_ms.p95),
        ("load_p99_ms", test.latency_ms.p99),
        ("load_memory_mb", test.memory_mb),
    ):
        client.log_metric(version.run_id, name, value)
    client.set_model_version_tag(version.name, str(version.number), LOAD_TEST, path)


def last_load_test(version: Version) -> LoadTest | None:
    """The test that `record` kept last, or None when there was none of this very model."""
    path = version.tags.get(LOAD_TEST)
    if path is None:
        return None
    text = mlflow.artifacts.load_text(f"runs:/{version.run_id}/{path}")
    try:
        test = LoadTest.model_validate(json.loads(text))
    except (ValueError, ValidationError) as error:
        raise RegistryError(
            f"the load test {path} of {version} is damaged; test it again"
        ) from error
    return test if test.model_digest == version.digest else None
