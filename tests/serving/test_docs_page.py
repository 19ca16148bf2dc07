"""The docs page can be tried in a browser that reaches nothing but the server."""

from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import browser, screenshot
from tests.serving.conftest import Serving


def test_the_example_on_the_docs_page_is_answered(income_server: Serving, tmp_path: Path) -> None:
    with browser(tmp_path) as chrome:
        chrome.get(income_server.rest + "/docs")
        _click(chrome, ".opblock-post .opblock-summary-control")  # /predict, the first one
        _click(chrome, ".opblock-post .btn.execute")
        shown = WebDriverWait(chrome, 20).until(
            lambda page: page.find_element(By.CSS_SELECTOR, ".live-responses-table .response").text
        )
        screenshot(chrome, "docs-predict")
    assert shown.startswith("200")
    assert '"predictions"' in shown


def _click(chrome: Chrome, selector: str) -> None:
    WebDriverWait(chrome, 20).until(
        lambda page: page.find_element(By.CSS_SELECTOR, selector)
    ).click()
