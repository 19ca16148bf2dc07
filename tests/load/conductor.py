"""Takes a run through its profile's stages, inside Locust."""

import time
from contextlib import nullcontext
from pathlib import Path

import gevent
from locust import LoadTestShape

from tests.load.arrivals import Arrivals
from tests.load.load_profile import Profile, Stage, Steps
from tests.load.records import Records, Span, summarise
from tests.load.verdict import missed


class Conductor(LoadTestShape):
    """Locust asks its shape every second; stages end on time because a greenlet of their own
    counts them."""

    abstract = True  # set for a run with a profile only, not found by being imported

    def __init__(
        self, profile: Profile, arrivals: Arrivals | None, records: Records, output: Path | None
    ) -> None:
        super().__init__()
        self._profile = profile
        self._arrivals = arrivals
        self._records = records
        self._output = output
        self._users = profile.users or 0
        self._spans: list[Span] = []
        self._greenlet: gevent.Greenlet | None = None

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now; None at the end."""
        if self._greenlet is None:
            self._users = self._profile.users or round(self._profile.stages[0].level)
        elif self._greenlet.ready():
            return None
        if self._greenlet is None and self.get_current_user_count() >= self._users:
            self._greenlet = gevent.spawn(self._conduct)
        return self._users, float(self._users)

    def _conduct(self) -> None:
        steps = isinstance(self._profile.shape, Steps)
        for stage in self._profile.stages:
            # A second chance tells a replica at its limit from a machine that hiccups.
            if not self._meets(stage) and steps and not self._meets(stage):
                break
        if self._output is not None:
            gevent.sleep(1)  # for what is still on its way
            self._records.save(self._output, self._spans)

    def _meets(self, stage: Stage) -> bool:
        span = self._play(stage)
        self._spans.append(span)
        return not missed(summarise(self._records, span), self._profile.objective)

    def _play(self, stage: Stage) -> Span:
        if self._profile.unit == "users":
            self._users = round(stage.level)
        arrivals = self._arrivals
        start = time.monotonic()
        with nullcontext() if arrivals is None else arrivals.at(stage.level):
            gevent.sleep(stage.seconds)
        end = time.monotonic()
        return Span(
            level=stage.level,
            overload=stage.overload,
            start=start,
            settled=start + self._profile.settle_seconds,
            end=end,
            unsent=0 if arrivals is None else arrivals.withdraw(),
            late_ms=0.0 if arrivals is None else arrivals.late_ms(),
        )
