"""docs/protocol.md is true: its list of codes is the server's, and its examples run."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from serving.problems import Code
from tests.serving.conftest import Serving

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
CURLS = [block for language, block in BLOCKS if language == "sh"]


def test_the_page_lists_the_codes() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == [code.value for code in Code]


@pytest.mark.parametrize("command", CURLS, ids=lambda block: urlsplit(block.split()[1]).path)
def test_curl(income_server: Serving, command: str) -> None:
    command = command.replace("http://localhost:8080", income_server.rest)
    asked = ["bash", "-c", command.replace("curl ", "curl --silent --show-error --fail ", 1)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=20)
    answer = json.loads(done.stdout)
    assert answer.keys() & {"predictions", "outputs", "status"}


def test_every_way_has_its_example() -> None:
    paths = {urlsplit(command.split()[1]).path for command in CURLS}
    assert paths == {"/predict", "/v2/models/income/infer", "/invocations", "/health"}


def test_python(income_server: Serving) -> None:
    (snippet,) = [block for language, block in BLOCKS if language == "python"]
    snippet = snippet.replace("localhost:8081", income_server.grpc)
    asked = [sys.executable, "-c", snippet]
    done = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60)
    low, high = map(float, done.stdout.strip(" []\n").split())
    assert low + high == pytest.approx(1)
