"""schemathesis reads the server's own OpenAPI document and tries to prove it wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.conftest import Serving

# A V2 request may be right for its schema and wrong for the model: shape and data disagree, or a
# column is missing. Only for /predict does the schema say everything.
CONFIG = """
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.expected-statuses = [400, 404, 405, 413, 415]
"""


def schemathesis(serving: Serving, folder: Path, config: str, *options: str) -> str:
    """What it printed; the test fails with that when it found anything."""
    (folder / "schemathesis.toml").write_text(config)
    command = Path(sys.executable).parent / "schemathesis"
    words = ["--config-file", "schemathesis.toml", "run", f"{serving.rest}/openapi.json"]
    done = subprocess.run(
        [command, *words, "--no-color", "--seed", "1", *options],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_every_operation_keeps_what_the_document_says(
    income_server: Serving, tmp_path: Path
) -> None:
    printed = schemathesis(income_server, tmp_path, CONFIG, "--max-examples", "30")
    assert "Tested: 14" in printed


@pytest.mark.slow
def test_every_row_that_the_document_allows_is_answered(
    house_server: Serving, tmp_path: Path
) -> None:
    only = ("--include-path", "/predict", "--checks", "positive_data_acceptance")
    printed = schemathesis(house_server, tmp_path, "", *only, "--max-examples", "20")
    assert "Tested: 1" in printed
