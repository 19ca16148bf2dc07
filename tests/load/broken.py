"""Servers that are broken on purpose: a bundle's settings may name any runtime."""

import time

from serving.engine import Columns, Engine, Outputs
from serving.runtime import AssayRuntime

SLEEP_SECONDS = 0.03  # slower than profiles allow, quick enough for a little load


class SlowRuntime(AssayRuntime):
    """The bundle's own runtime, with an engine that sleeps."""

    async def load(self) -> bool:
        """Load, prove, and only then become slow."""
        loaded: bool = await super().load()
        self.plane.engine = SlowEngine(self.plane.engine)
        return loaded


class SlowEngine:
    """Another engine's answers, late."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self._engine = engine

    def predict(self, columns: Columns) -> Outputs:
        """Sleep, then answer."""
        time.sleep(SLEEP_SECONDS)
        return self._engine.predict(columns)
