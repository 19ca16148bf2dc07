"""MLflow's own pages show, without our docs, what won, why, on what evidence, and who decided."""

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, serve
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from registry import versions
from registry.gates import GATES
from tests.browser import browser, screenshot

EXPAND = "[role=gridcell][col-id*='Run Name'] button"  # shows the runs below a run
SECONDS = 60  # the first page loads megabytes of scripts


def shown(chrome: Chrome, url: str, *texts: str, press: str | None = None) -> str:
    """The page's text once all of these are on it, if need be after a press on a button."""
    chrome.get(url)
    chrome.refresh()  # another fragment alone is no new page
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(StaleElementReferenceException):
            text: str = chrome.find_element(By.TAG_NAME, "body").text
            if all(each in text for each in texts):
                return text
            for button in chrome.find_elements(By.CSS_SELECTOR, press) if press else ():
                button.click()
                press = None
        time.sleep(0.5)
    screenshot(chrome, "mlflow-unexpected")
    pytest.fail(f"{url} never showed all of {texts}, but:\n{text}")


@pytest.mark.slow
def test_pages_of_a_promoted_model(
    house_copy: Any, run: Run, unserved: str, tmp_path: Path
) -> None:
    client = house_copy.client()
    name = house_copy.name
    code, said = run(
        *("promote", name, "--policy", unserved, "--allow-dirty", "--reason", "first of all")
    )
    assert code == 0, said
    version = versions.resolve(client, name)
    with (
        browser(tmp_path / "profile") as chrome,
        serve(tmp_path, house_copy.uri, str(tmp_path / "artifacts")) as url,
    ):
        text = shown(
            chrome,
            f"{url}/#/models/{name}/versions/{version.number}",
            "Passed every gate",
            "@ champion",
            "@ candidate",
        )
        screenshot(chrome, "mlflow-version")
        rows = [
            row.text.split()[0]
            for row in chrome.find_elements(By.CSS_SELECTOR, "table tr")
            if row.text.strip()
        ]
        assert [row for row in rows if row in GATES] == list(GATES)
        assert "won" in text  # training's reason
        assert "<!--" not in text
        assert version.digest in text

        text = shown(chrome, f"{url}/#/models/{name}", "is champion since", "first of all")
        screenshot(chrome, "mlflow-model")
        assert "promoted 1" in text
        assert "<!--" not in text.partition("Versions")[0]  # the list below has raw beginnings

        shown(chrome, f"{url}/#/models", name)
        screenshot(chrome, "mlflow-models")
        experiment = client.get_experiment_by_name(name)
        assert experiment is not None
        runs = f"{url}/#/experiments/{experiment.experiment_id}/runs"
        shown(chrome, runs, "boosting", "median", press=EXPAND)
        screenshot(chrome, "mlflow-candidates")
        shown(chrome, f"{runs}/{version.run_id}", "won")
        screenshot(chrome, "mlflow-run")
