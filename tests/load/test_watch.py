"""The watch: what a process or a container used, and what it may use."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.load.records import Span
from tests.load.verdict import Usage
from tests.load.watch import CgroupV1, CgroupV2, Process, Sample, Watch, source_of, watching

STAT = "inactive_file 30000000\nanon 100\n"


@pytest.fixture
def v2(tmp_path: Path) -> CgroupV2:
    """A container with 0.9 CPU and 2 GB, as the unified hierarchy shows it."""
    (tmp_path / "memory.current").write_text("230000000\n")
    (tmp_path / "memory.stat").write_text(STAT)
    (tmp_path / "memory.max").write_text("2000000000\n")
    (tmp_path / "cpu.max").write_text("90000 100000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nnr_periods 40\nnr_throttled 10\n")
    return CgroupV2(os.getpid(), tmp_path)


@pytest.fixture
def v1(tmp_path: Path) -> CgroupV1:
    """The same, as the older hierarchies show it."""
    (tmp_path / "memory.usage_in_bytes").write_text("230000000\n")
    (tmp_path / "memory.stat").write_text("inactive_file 1\ntotal_" + STAT)
    (tmp_path / "memory.limit_in_bytes").write_text("2000000000\n")
    (tmp_path / "cpu.cfs_quota_us").write_text("90000\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu.stat").write_text("nr_periods 40\nnr_throttled 10\nthrottled_time 9\n")
    (tmp_path / "cpuacct.usage").write_text("2500000000\n")
    return CgroupV1(os.getpid(), tmp_path, tmp_path, tmp_path)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_container_is_read_from_its_cgroup(version: str, request: pytest.FixtureRequest) -> None:
    source: CgroupV1 | CgroupV2 = request.getfixturevalue(version)
    assert source.limits() == (0.9, 2000.0)
    sample = source.sample()
    assert (sample.memory_mb, sample.cpu_seconds) == (200.0, 2.5)  # without what can be dropped
    assert (sample.periods, sample.throttled) == (40, 10)
    assert sample.peak_mb > 1


def test_no_limit_is_the_whole_machine(v2: CgroupV2, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert v2.limits() == (os.cpu_count(), Process(os.getpid()).limits().memory_mb)


def test_a_process_of_ours_is_read_as_a_process() -> None:
    assert source_of(os.getpid()) == Process(os.getpid())


def test_a_process_that_works_is_seen_working() -> None:
    busy = "import time; block = bytearray(60_000_000); end = time.time() + 9\nwhile True: end -= 1"
    process = subprocess.Popen([sys.executable, "-c", busy])
    idle = Process(os.getpid())
    try:
        start = time.monotonic()
        with watching(Process(process.pid), idle) as watch:
            time.sleep(1.2)
        usage = watch.usage(_span(start, time.monotonic()))
    finally:
        process.kill()
        process.wait()
    assert usage.server_cpus is not None
    assert usage.server_cpus > 0.1  # whatever else this machine does
    assert usage.generator_cpus is not None
    assert usage.generator_cpus < usage.server_cpus
    assert watch.peak_memory_mb is not None
    assert 60 < watch.peak_memory_mb < 120


def test_a_stage_shows_its_own_samples_only() -> None:
    watch = Watch(
        server=[
            Sample(at, memory_mb, memory_mb + 5, at / 2, int(at * 10), int(at))
            for at, memory_mb in ((1.0, 900.0), (2.0, 100.0), (3.0, 110.0), (4.0, 120.0))
        ]
    )
    usage = watch.usage(_span(1.5, 4.0))
    assert usage == Usage(memory_mb=120, server_cpus=0.5, throttled=0.1, generator_cpus=None)
    assert watch.peak_memory_mb == 905
    assert watch.usage(_span(7, 9)) == Usage()


def test_a_process_that_ends_is_no_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with watching(Process(process.pid), Process(os.getpid())) as watch:
        time.sleep(0.6)
    assert watch.server == []
    assert watch.generator


def _span(start: float, end: float) -> Span:
    return Span(level=1, overload=False, start=start, settled=start, end=end, unsent=0, late_ms=0)
