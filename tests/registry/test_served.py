"""Gates over a really started bundle, with the policy that ships."""

from typing import Any

import pytest
from conftest import Run, Store, champion_of, failed, kept

from registry import capacity, policy, promotion, versions
from registry.artifact import Interval
from registry.capacity import LoadTest
from registry.measurements import Percentiles
from registry.policy import SHIPPED
from registry.promotion import Request

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default policy, asking for a faster server than 150 trees give, and fewer rows."""
    text = (SHIPPED / "default.yaml").read_text()
    path = tmp_path_factory.mktemp("policies") / "hasty.yaml"
    path.write_text(text.replace("rows: 1000", "rows: 60").replace("p50_ms: 50", "p50_ms: 5"))
    return str(path)


def test_promoted_with_every_gate(sqlite: Store, run: Run) -> None:
    name = sqlite.publish("first")
    code, said = run("promote", name)
    assert code == 0, said
    client = sqlite.client()
    document = kept(client, name, 1)
    assert {result.outcome for result in document.gates} == {"passed"}
    assert set(document.measurements.served.encodings) == set(policy.read().parity.encodings)
    assert all(each.rows == 400 for each in document.measurements.served.encodings.values())
    assert document.measurements.capacity.source == "probe"
    assert document.measurements.capacity.requests > 100
    assert champion_of(client, name) == 1


def test_slow_is_refused(sqlite: Store, run: Run, hasty: str) -> None:
    name = sqlite.publish("slow")
    code, said = run("promote", name, "--policy", hasty)
    assert code == 3, said
    assert "5 ms is allowed" in said
    client = sqlite.client()
    assert failed(kept(client, name, 1)) == ["capacity"]
    assert champion_of(client, name) is None


def test_differing_answers_are_refused(sqlite: Store, run: Run) -> None:
    """The graph is a thousandth off, and so are the golden rows that the server reproduces."""
    name = sqlite.publish("differing")
    code, said = run("promote", name)
    assert code == 3, said
    for way in policy.read().parity.encodings:
        assert f"answers over {way} are 0.001 away from the pipeline's, 1e-05 is allowed" in said
    client = sqlite.client()
    assert failed(kept(client, name, 1)) == ["parity"]
    assert champion_of(client, name) is None


SECONDS = 90  # for every gate of a promotion, on two cores


def test_income_is_promoted_in_time(income_copy: Any, run: Run, unserved: str) -> None:
    """And again as the same model, which is not worse than itself, in any group."""
    client, name = income_copy.client(), income_copy.name
    code, said = run("promote", name, "--allow-dirty")
    assert code == 0, said
    document = kept(client, name, 1)
    assert {result.outcome for result in document.gates} <= {"passed", "allowed"}
    assert document.seconds < SECONDS
    assert all(each.rows == 1000 for each in document.measurements.served.encodings.values())

    first = versions.resolve(client, name, 1)
    model_id = client.get_model_version(name, "1").source.removeprefix("models:/")
    versions.register(client, name, model_id, first.run_id, "The same again.")
    code, said = run("promote", name, "--allow-dirty", "--policy", unserved)
    assert code == 0, said
    again = kept(client, name, 2).measurements
    assert again.quality.over_champion == Interval(value=0, low=0, high=0)
    assert {group.column for group in again.slices.groups} == {"sex", "race"}


def test_the_last_load_test_counts(sqlite: Store, unserved: str) -> None:
    """Also one that says less than the probe would: it is what was measured inside the limits."""
    name = sqlite.publish("first")
    client = sqlite.client()
    version = versions.resolve(client, name, 1)
    rules = policy.read(unserved).model_copy(update={"capacity": policy.read().capacity})
    good = LoadTest(
        model_digest=version.digest,
        profile="steps",
        seconds=60,
        requests=50_000,
        errors=0,
        requests_per_second=800,
        latency_ms=Percentiles(p50=2, p95=5, p99=9),
        memory_mb=240,
        cpus=0.9,
        memory_limit_mb=2000,
    )
    capacity.record(client, version, good)
    slow = good.model_copy(update={"latency_ms": Percentiles(p50=2, p95=5, p99=900)})
    capacity.record(client, version, slow.model_copy(update={"at": good.at.replace(year=2030)}))
    outcome = promotion.promote(client, Request(name, rules))
    assert outcome.result == "refused"
    assert failed(outcome.evidence) == ["capacity"]
    assert "p99 is 900 ms, 200 ms is allowed" in str(outcome.evidence.gates)
    assert client.get_run(version.run_id).data.metrics["load_p99_ms"] == 900

    capacity.record(client, version, good.model_copy(update={"at": good.at.replace(year=2031)}))
    outcome = promotion.promote(client, Request(name, rules))
    assert outcome.result == "moved"
    assert outcome.evidence.measurements.capacity.source == "load test"
