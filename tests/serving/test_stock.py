"""Whoever comes from the stock runtime, mlserver-mlflow, gets the same answers."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import process
from serving.clients import v2_request
from tests.serving.conftest import Serving

ROWS = 40


@pytest.fixture(scope="module")
def stock(
    income_server: Serving,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[httpx.Client]:
    """MLServer with the stock runtime, on the very model of the bundle."""
    folder = tmp_path_factory.mktemp("stock")
    shutil.copytree(income_server.bundle.artifact.folder, folder / "model")
    (folder / "settings.json").write_text(json.dumps({"parallel_workers": 0}))
    model = {
        "name": "income",
        "implementation": "mlserver_mlflow.MLflowRuntime",
        "parameters": {"uri": "./model", "version": "1"},
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    stock = [str(Path(sys.executable).parent / "mlserver"), "start", str(folder)]
    with pytest.MonkeyPatch.context() as patch, httpx.Client(timeout=30) as http:
        patch.setattr(process, "command", lambda _: stock)
        with process.running(folder) as server:
            http.base_url = httpx.URL(server.rest)
            yield http


@pytest.fixture
def rows(income_server: Serving) -> list[dict[str, Any]]:
    """Golden rows without nulls: the stock runtime has no way to send one in a text column."""
    golden = income_server.bundle.artifact.golden.rows
    return [row for row in golden if None not in row.values()][:ROWS]


def test_a_v2_request(
    stock: httpx.Client, http: httpx.Client, income_server: Serving, rows: list[dict[str, Any]]
) -> None:
    request = v2_request(income_server.contract, rows)
    for tensor in request["inputs"]:
        tensor["parameters"] = {"content_type": "str" if tensor["datatype"] == "BYTES" else "np"}
    theirs = stock.post("/v2/models/income/infer", json=request).raise_for_status().json()
    ours = http.post("/v2/models/income/infer", json=request).raise_for_status().json()
    assert ours["outputs"][0]["data"] == theirs["outputs"][0]["data"]
    assert (ours["model_name"], ours["model_version"]) == (
        theirs["model_name"],
        theirs["model_version"],
    )


def _split(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(rows[0])
    return {"columns": names, "data": [[row[name] for name in names] for row in rows]}


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "csv"])
def test_invocations(
    stock: httpx.Client, http: httpx.Client, rows: list[dict[str, Any]], form: str
) -> None:
    if form == "csv":
        table = _split(rows)
        lines = [table["columns"], *table["data"]]
        body = "\n".join(",".join(str(value) for value in line) for line in lines).encode()
        content_type = "text/csv"
    else:
        document = {form: _split(rows) if form == "dataframe_split" else rows}
        body, content_type = json.dumps(document).encode(), "application/json"
    answers = [
        client.post("/invocations", content=body, headers={"content-type": content_type})
        .raise_for_status()
        .json()["predictions"]
        for client in (stock, http)
    ]
    theirs, ours = answers
    assert ours == [row["0"] if isinstance(row, dict) else row for row in theirs]
