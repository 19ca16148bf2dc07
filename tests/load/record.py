"""Keep a measured capacity with the version it belongs to, where promotion's gate reads it."""

from pathlib import Path

from registry import capacity, store, versions
from registry.capacity import LoadTest
from registry.measurements import Percentiles
from tests.load import report
from tests.load.errors import LoadTestError
from tests.load.run import RESULT, Result

KEPT = (RESULT, "report.html", report.PLOT, report.TABLE)


def record(result: Result, output: Path) -> str:
    """Log the load test and its report on the version's run; a sentence about it."""
    test = load_test(result)
    client = store.connect()
    version = versions.resolve(client, result.model, result.version)
    if version.digest != result.digest:
        raise LoadTestError(
            f"version {result.version} of {result.model!r} in this store is another model than the "
            "bundle's; set MLFLOW_TRACKING_URI to the store it came from"
        )
    capacity.record(client, version, test)
    folder = f"load/{version.number}/{test.at:%Y%m%dT%H%M%SZ}"
    for name in KEPT:
        client.log_artifact(version.run_id, str(output / name), folder)
    return (
        f"kept with version {version.number} of {version.name!r}; "
        f"next: python -m registry evaluate {version.name} --version {version.number}"
    )


def load_test(result: Result) -> LoadTest:
    """The figures that the capacity gate looks at: those of the stage that showed the capacity.

    Of a replica that carries nothing they are the first stage's, with a rate of 0. A failure counts
    wherever it happened, a 503 where the objective was met: beyond that, it is the right answer.
    """
    verdict = result.verdict
    found = verdict.capacity
    if found is None:
        raise LoadTestError("only a stepped profile shows a capacity; record one of those")
    if result.cpus is None or result.memory_limit_mb is None or verdict.peak_memory_mb is None:
        raise LoadTestError("memory and CPU were not seen; name --container or --pid")
    shown = verdict.stages[found.stage or 0].summary
    if shown.p50_ms is None or shown.p95_ms is None or shown.p99_ms is None:
        raise LoadTestError("nothing was answered, so there is nothing to record")
    carried = [stage for stage in verdict.stages if not stage.missed]
    return LoadTest(
        model_digest=result.digest,
        profile=result.profile.name,
        at=result.at,
        seconds=sum(stage.summary.seconds for stage in verdict.stages),
        requests=sum(stage.summary.requests for stage in verdict.stages),
        errors=sum(stage.summary.failed for stage in verdict.stages)
        + sum(stage.summary.overloaded for stage in carried),
        requests_per_second=found.requests_per_second,
        latency_ms=Percentiles(p50=shown.p50_ms, p95=shown.p95_ms, p99=shown.p99_ms),
        memory_mb=verdict.peak_memory_mb,
        cpus=result.cpus,
        memory_limit_mb=result.memory_limit_mb,
    )
