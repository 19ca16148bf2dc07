"""The page of figures: written from results, between two lines and nowhere else."""

from datetime import UTC, datetime

import pytest

from tests.load import figures
from tests.load.errors import LoadTestError
from tests.load.figures import BEGIN, END, PAGE, markdown
from tests.load.load_profile import read
from tests.load.records import Summary
from tests.load.run import Result
from tests.load.test_verdict import SLOW, summary
from tests.load.verdict import Usage, judge


def result(profile_name: str, *summaries: Summary, late: bool = False) -> Result:
    profile = read(profile_name)
    usage = Usage(memory_mb=180, server_cpus=0.5, generator_cpus=0.99 if late else 0.4)
    return Result(
        at=datetime(2026, 11, 21, tzinfo=UTC),
        model="income",
        version=3,
        digest="0" * 64,
        engine="onnx",
        where="income:3-000000000000, 0.9 CPU and 2000 MB",
        cpus=0.9,
        memory_limit_mb=2000,
        machine="2 x processor",
        profile=profile,
        verdict=judge(profile, summaries, [usage] * len(summaries), 190),
        failures={},
    )


KNEE = (summary(700), summary(875, **SLOW), summary(875, **SLOW))


def test_the_page_says_what_was_measured() -> None:
    capacities = [result("capacity", *KNEE), result("capacity", *KNEE, late=True)]
    spike = result("spike", summary(200), summary(4000, overload=True), summary(200))
    soak = result("soak", *[summary(200)] * 15)
    ceilings = [("the profile's mix", result("constant", summary(5000)))]
    page = markdown(capacities, ceilings, spike, soak)
    assert "0.9 CPU and 2000 MB | 700 | 1.0 | 10.0 | 190 | 1 | 3 | 21 |" in page
    assert "| ≥ 700 | 1.0 |" in page
    assert "| the profile's mix | 5000 |" in page
    assert "700 is well below it" in page
    assert "Objective met: 30,000 requests in 15 minutes, 0 failed, 0 got 503." in page
    assert "Memory: 180 MB in minute 2, 180 MB in the last." in page


def test_a_ceiling_near_the_capacity_is_said() -> None:
    ceilings = [("the profile's mix", result("constant", summary(800)))]
    spike = result("spike", summary(), summary(4000, overload=True), summary(**SLOW))
    soak = result("soak", *[summary()] * 14)
    page = markdown([result("capacity", *KNEE)], ceilings, spike, soak)
    assert "700 is close to it: read the capacity above as at least that" in page
    assert "Objective missed (stage 3: p50" in page
    assert "Objective missed (only 14 of 15 stages were done)" in page


def test_the_page_has_a_place_for_them() -> None:
    before, after = figures._page()
    assert before.startswith("# How much one replica carries")
    assert "## What the numbers do not say" in after
    assert BEGIN not in before
    assert END not in after


def test_images_are_named_for_every_bundle_or_for_none() -> None:
    with pytest.raises(LoadTestError, match="an image for each bundle"):
        list(figures.measure([], ["income:1-000000000000"]))
    assert PAGE.name == "capacity.md"
