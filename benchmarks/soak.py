"""One server under a steady load for minutes: every answer checked, memory watched."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import uvloop
from pydantic import BaseModel, ConfigDict
from scipy import stats

from benchmarks.circumstances import Circumstances, circumstances
from benchmarks.contenders import ASSAY_ONNX
from benchmarks.environments import interpreter
from benchmarks.load import Target, drive
from benchmarks.measure import bench, checked
from benchmarks.openloop import Answers, OpenLoop
from benchmarks.plot import draw_memory
from benchmarks.processes import Server

logger = logging.getLogger(__name__)

CAPACITY_CONNECTIONS = 32
CAPACITY_SECONDS = (2.0, 2.0, 2.0)  # windows; the median counts
SAMPLE_SECONDS = 1.0
SETTLE_SHARE = 0.2  # at first, buffers find their size: left out of the slope
# Of the memory, an hour: what an allocator may still take after minutes. One byte forgotten by
# each request is several times that at 3,000/s.
FLAT_SHARE = 0.01
BLOCKS = 20  # means of blocks depend on each other less than samples do


class Slope(BaseModel):
    """Growth of memory in MB an hour, with its 95 % confidence interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


class Soaked(BaseModel):
    """What was seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    circumstances: Circumstances
    contender: str
    capacity: float
    """Requests a second in a closed loop."""
    rate: float
    """Requests a second asked for."""
    seconds: float
    requests: int
    failures: int
    """Requests that were not answered, or not with the pipeline's answer."""
    first_failure: str | None
    latency_ms: dict[str, float]
    slope: Slope
    memory: tuple[tuple[float, float], ...]
    """Seconds since the load began, and resident MB of 10⁶ bytes."""

    @property
    def holds(self) -> bool:
        """Whether every answer was right and memory stayed flat, with confidence."""
        return self.failures == 0 and self.slope.high < FLAT_SHARE * self.memory[-1][1]


def soak(minutes: float, load: float, output: Path) -> Soaked:
    """Ask one-row requests at a share of capacity; write soak.json, .md and .png."""
    output.mkdir(parents=True, exist_ok=True)
    python = interpreter(ASSAY_ONNX.environment)
    with bench() as place, checked(ASSAY_ONNX, {1}, python, place) as (server, targets):
        version = place.subject.version
        target = targets[1]["REST"]
        capacity = _capacity(target)
        logger.info("capacity %.0f/s; asking %.0f/s for %g min", capacity, load * capacity, minutes)
        answers, memory = uvloop.run(_soak(target, server, load * capacity, minutes * 60))
    latencies = np.array(answers.latencies) * 1000
    soaked = Soaked(
        circumstances=circumstances(str(version), {ASSAY_ONNX.environment}),
        contender=ASSAY_ONNX.name,
        capacity=capacity,
        rate=load * capacity,
        seconds=minutes * 60,
        requests=len(latencies),
        failures=answers.failures,
        first_failure=answers.first_failure,
        latency_ms={f"p{p}": float(np.percentile(latencies, p)) for p in (50, 95, 99, 99.9)}
        | {"max": float(latencies.max())},
        slope=slope(memory),
        memory=tuple(memory),
    )
    (output / "soak.json").write_text(soaked.model_dump_json(indent=1) + "\n")
    (output / "soak.md").write_text("\n".join(_page(soaked)) + "\n")
    draw_memory(soaked.memory, "\n".join(sentences(soaked)), output / "soak.png")
    return soaked


def slope(memory: list[tuple[float, float]]) -> Slope:
    """A straight line through means of blocks, after memory has settled."""
    settled = np.array(memory[int(len(memory) * SETTLE_SHARE) :])
    blocks = np.array([block.mean(axis=0) for block in np.array_split(settled, BLOCKS)])
    line = stats.linregress(blocks[:, 0] / 3600, blocks[:, 1])
    margin = stats.t.ppf(0.975, BLOCKS - 2) * line.stderr
    return Slope(value=line.slope, low=line.slope - margin, high=line.slope + margin)


def _capacity(target: Target) -> float:
    windows = [
        uvloop.run(drive(target, CAPACITY_CONNECTIONS, seconds, lambda: None))
        for seconds in CAPACITY_SECONDS
    ]
    return median(len(window.latencies) / window.seconds for window in windows)


async def _soak(
    target: Target, server: Server, rate: float, seconds: float
) -> tuple[Answers, list[tuple[float, float]]]:
    memory: list[tuple[float, float]] = []
    began = time.perf_counter()

    async def watch() -> None:
        while True:
            memory.append((round(time.perf_counter() - began, 1), server.resident_mb()))
            await asyncio.sleep(SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    loop = OpenLoop(target.work, rate)
    await loop.run(target.address, seconds)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return loop.answers, memory


def sentences(soaked: Soaked) -> Iterator[str]:
    """What was seen, in words."""
    latency = ", ".join(f"{name} {value:.3g} ms" for name, value in soaked.latency_ms.items())
    growth = soaked.slope
    yield (
        f"{soaked.contender}: {soaked.requests:,} one-row requests in {soaked.seconds / 60:g} min, "
        f"{soaked.rate:,.0f}/s: {soaked.rate / soaked.capacity:.0%} of the "
        f"{soaked.capacity:,.0f}/s that it answers in a closed loop."
    )
    yield f"{soaked.failures} failed or were answered wrongly. {latency}."
    yield (
        f"Memory {soaked.memory[0][1]:.1f} MB at first, {soaked.memory[-1][1]:.1f} MB at last; "
        f"slope {growth.value:+.2f} MB/h (95 % interval {growth.low:+.2f} to {growth.high:+.2f})."
    )


def _page(soaked: Soaked) -> Iterator[str]:
    yield f"# Soak: {soaked.circumstances.model}"
    yield ""
    yield from soaked.circumstances.head()
    yield "![Memory](soak.png)"
    yield ""
    yield from (f"- {sentence}" for sentence in sentences(soaked))
    yield f"- {'Holds' if soaked.holds else 'MISSED'}: every answer right, and less than "
    yield f"  {FLAT_SHARE:.0%} growth an hour with confidence."
    yield ""
    yield "Requests are sent when they are due, at random times, over up to 64 connections; latency"
    yield "counts from when a request was due, and every answer is compared with the pipeline's."
    yield f"The slope leaves out the first {SETTLE_SHARE:.0%} of the time; its interval comes from"
    yield f"the means of {BLOCKS} blocks of time."
    yield from soaked.circumstances.foot()
