"""Prometheus series of the requests that do not pass through MLServer's own handlers.

MLServer's names, labels and meanings, so that its dashboards go on working; Assay's own series
say what was refused and what the rows looked like.
"""

from collections.abc import Iterator
from functools import cache

from mlserver.handlers import DataPlane
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette_exporter import PrometheusMiddleware

from serving.statistics import Statistics

APP_NAME = "mlserver"  # the label MLServer gives its REST metrics


class ModelMetrics:
    """MLServer's counts of inferences, whatever door they came through."""

    def __init__(self, data_plane: DataPlane, model: str, version: str) -> None:
        labels = {"model": model, "version": version}
        self._success = data_plane._ModelInferRequestSuccess.labels(**labels)
        self._failure = data_plane._ModelInferRequestFailure.labels(**labels)
        self._duration = data_plane._ModelInferRequestDuration.labels(**labels)

    def observe(self, status: int, seconds: float) -> None:
        """Count one finished inference request by its HTTP status."""
        self._duration.observe(seconds)
        (self._success if status == 200 else self._failure).inc()


class RestMetrics:
    """MLServer's counts of HTTP requests."""

    def __init__(self, prefix: str) -> None:
        # The middleware keeps its series on the class, by prefix: these are the ones
        # MLServer exports.
        exporter = PrometheusMiddleware(None, app_name=APP_NAME, prefix=prefix)
        # Looking labels up costs more than counting.
        self._series = cache(
            lambda *labels: (
                exporter.request_count.labels(*labels, APP_NAME),
                exporter.request_time.labels(*labels, APP_NAME),
            )
        )

    def observe(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one finished HTTP request."""
        count, duration = self._series(method, path, status)
        count.inc()
        duration.observe(seconds)


class StatisticsCollector(Collector):
    """Assay's own series, read when Prometheus asks, so that they cost a request nothing."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def collect(self) -> Iterator[Metric]:
        """The series as they are now."""
        seen = self._statistics
        yield CounterMetricFamily("assay_rows", "Rows answered", seen.rows)
        yield CounterMetricFamily(
            "assay_rows_with_missing",
            "Rows answered with at least one null",
            seen.rows_with_missing,
        )
        unknown = CounterMetricFamily(
            "assay_unknown_categories",
            "Values of categorical columns that training never saw",
            labels=["column"],
        )
        for column, count in seen.unknown_categories.items():
            unknown.add_metric([column], count)
        yield unknown
        problems = CounterMetricFamily(
            "assay_problems", "Problems found in refused requests", labels=["code"]
        )
        for code, count in seen.problems.items():
            problems.add_metric([code], count)
        yield problems
