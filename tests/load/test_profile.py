"""Profiles: the shipped ones are sound; a wrong one is refused with the place and the reason."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.load.errors import LoadTestError
from tests.load.load_profile import SHIPPED, Profile, Stage, Steps, read

PROFILES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def document(**changes: Any) -> dict[str, Any]:
    """The short profile with changes; a dotted name reaches inside, None takes away."""
    found: dict[str, Any] = yaml.safe_load((SHIPPED / "short.yaml").read_text())
    for name, value in changes.items():
        *path, last = name.split("__")
        inner = found
        for part in path:
            inner = inner[part]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return found


@pytest.mark.parametrize("name", PROFILES)
def test_shipped_profiles_are_sound(name: str) -> None:
    assert read(name).name == name


def test_every_shape_is_shipped() -> None:
    assert {read(name).shape.kind for name in PROFILES} == {"constant", "steps", "spike", "soak"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"objektive": {}}, "objektive: no such setting", id="a typo"),
        pytest.param({"objective": None}, "objective: is missing", id="no objective"),
        pytest.param({"objective__p99_ms": None}, "objective.p99_ms: is missing", id="no p99"),
        pytest.param({"objective__p50_ms": -1}, "objective.p50_ms: input should be", id="below 0"),
        pytest.param(
            {"objective__error_share": 2}, "objective.error_share: input should be", id="a share"
        ),
        pytest.param({"name": "No Name"}, "name: string should match", id="a name"),
        pytest.param({"shape__kind": "ramp"}, "shape: input tag 'ramp'", id="no such shape"),
        pytest.param({"shape__level": 0}, "shape.constant.level: input should be", id="no load"),
        pytest.param({"shape__seconds": 1e6}, "shape.constant.seconds: input", id="for ever"),
        pytest.param({"shape__peak": 3}, "shape.constant.peak: no such setting", id="of others"),
        pytest.param(
            {"shape": {"kind": "steps", "first": 9, "last": 3, "factor": 2, "seconds": 5}},
            "last is below first",
            id="steps downwards",
        ),
        pytest.param(
            {"shape": {"kind": "steps", "first": 1, "last": 9, "factor": 1, "seconds": 5}},
            "shape.steps.factor: input should be greater than 1",
            id="steps that lead nowhere",
        ),
        pytest.param(
            {
                "shape": {
                    "kind": "spike",
                    "base": 1,
                    "peak": 2,
                    "base_seconds": 7000,
                    "peak_seconds": 9,
                }
            },
            "takes 14009 s, 7200 s is the most",
            id="too long in all",
        ),
        pytest.param({"users": None}, "a rate needs `users`", id="a rate without users"),
        pytest.param({"unit": "users"}, "`users` is for rates", id="users twice"),
        pytest.param({"settle_seconds": 10}, "leaves nothing of a stage", id="all settling"),
        pytest.param({"mix__ways": {"V2 REST": 0.5}}, "do not add up to 1", id="half a mix"),
        pytest.param({"mix__ways": {"SOAP": 1}}, "no way is called 'SOAP'", id="no such way"),
        pytest.param({"mix__rows": {0: 1}}, "a request has 1 to 10000 rows", id="no rows"),
        pytest.param({"mix__rows": {"some": 1}}, "mix.rows.some", id="rows in words"),
        pytest.param({"mix__invalid": 1.5}, "mix.invalid: input should be", id="too invalid"),
    ],
)
def test_a_wrong_profile_says_where_and_why(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document(**changes)))
    with pytest.raises(LoadTestError) as refused:
        read(str(path))
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("name: [", "is not YAML", id="no YAML"),
        pytest.param("- 1", "profile: input should be", id="a list"),
        pytest.param("", "profile: input should be", id="empty"),
    ],
)
def test_what_is_no_profile_at_all(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(LoadTestError, match=said):
        read(str(path))


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(LoadTestError, match=r"no profile 'capasity'.*capacity, constant, short"):
        read("capasity")


def test_steps_go_up_to_the_last_and_not_beyond() -> None:
    steps = Steps(kind="steps", first=100, last=900, factor=2, seconds=5)
    assert [stage.level for stage in steps.stages()] == [100, 200, 400, 800]


def test_only_the_peak_of_a_spike_may_be_too_much() -> None:
    assert [stage.overload for stage in read("spike").stages] == [False, True, False]


def test_a_soak_is_judged_minute_for_minute() -> None:
    soak = read("soak")
    assert soak.stages == (Stage(soak.shape.level, 60.0),) * 15


def test_a_profile_survives_being_written() -> None:
    profile = read("capacity")
    written = yaml.safe_load(yaml.safe_dump(profile.model_dump(mode="json")))
    assert Profile.model_validate(written) == profile
