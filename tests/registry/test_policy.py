"""A wrong policy gets one message with the path inside the file."""

from pathlib import Path

import pytest
import yaml

from registry import policy
from registry.errors import RegistryError


def test_the_default_asks_every_gate() -> None:
    shipped = policy.read()
    assert all(getattr(shipped, gate) is not None for gate in type(shipped).model_fields)


def test_digest_is_of_the_meaning(tmp_path: Path) -> None:
    document = yaml.safe_load((policy.SHIPPED / "default.yaml").read_text())
    path = tmp_path / "copy.yaml"
    path.write_text(yaml.safe_dump(document))
    assert policy.read(str(path)).digest() == policy.read().digest()
    document["quality"]["margin"] = 0.03
    path.write_text(yaml.safe_dump(document))
    assert policy.read(str(path)).digest() != policy.read().digest()


WRONG = {
    "an unknown gate": ({"speed": {}}, "speed: no such setting"),
    "an unknown setting": (
        {"quality": {"thresholds": {}, "margin": 0, "margins": 1}},
        "quality.margins: no such setting",
    ),
    "a gate left out": ({"quality": ...}, "quality: is missing (null switches a gate off)"),
    "an unknown metric": (
        {"quality": {"thresholds": {"auc": 0.9}, "margin": 0}},
        "quality.thresholds: value error, no metric 'auc'; there are rmse",
    ),
    "a margin of one": (
        {"slices": {"margin": 1, "least_rows": 10}},
        "slices.margin: input should be less than 1, found 1",
    ),
    "a text for a number": (
        {"calibration": {"largest_error": "small"}},
        "calibration.largest_error: input should be a valid number",
    ),
    "no quantiles": (
        {"errors": {"quantiles": [], "margin": 0.1}},
        "errors.quantiles: tuple should have at least 1 item",
    ),
    "a quantile of one": (
        {"errors": {"quantiles": [0.5, 1], "margin": 0.1}},
        "errors.quantiles: value error, quantiles lie between 0 and 1",
    ),
    "a name with spaces": ({"name": "my policy"}, "name: string should match pattern"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_setting(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    document = yaml.safe_load((policy.SHIPPED / "default.yaml").read_text()) | changes
    document = {key: value for key, value in document.items() if value is not ...}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(RegistryError) as caught:
        policy.read(str(path))
    assert f"{path}: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


FILES = {
    "not there": (None, "no policy"),
    "not YAML": ("quality: [", "is not YAML"),
    "a list": ("- quality", "must hold a mapping of gates"),
    "empty": ("", "must hold a mapping of gates"),
}


@pytest.mark.parametrize(("text", "message"), FILES.values(), ids=FILES.keys())
def test_wrong_file(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RegistryError, match=message):
        policy.read(str(path))


def test_unknown_name_lists_those_that_ship() -> None:
    with pytest.raises(RegistryError, match=r"no policy 'strict'; .* one of: default"):
        policy.read("strict")
