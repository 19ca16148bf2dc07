"""A server is ready only when proven, says who it is, and stops without losing a request."""

import concurrent.futures
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving.bundle import MODEL, MODEL_SETTINGS, Bundle, write_json
from serving.clients import RestClient, v2_request
from serving.errors import ServingError
from serving.process import running
from tests.serving.conftest import Serving


def _copy(bundle: Bundle, folder: Path, **limits: Any) -> Bundle:
    """The bundle with other limits."""
    copy = Path(shutil.copytree(bundle.folder, folder / "copy"))
    settings = json.loads((copy / MODEL_SETTINGS).read_text())
    settings["parameters"]["extra"]["limits"].update(limits)
    write_json(copy / MODEL_SETTINGS, settings)
    return Bundle(copy)


def _client(http: httpx.Client, bundle: Bundle) -> RestClient:
    return RestClient(http, bundle.manifest.model_name, bundle.artifact.contract)


def test_health_says_who_answers(income_server: Serving, http: httpx.Client) -> None:
    manifest = income_server.bundle.manifest
    report = http.get("/health").json()
    assert report["status"] == "ok"
    assert report["model"] == {
        "name": "income",
        "version": "1",
        "digest": manifest.model_digest,
        "run_id": manifest.run_id,
        "git_commit": manifest.git_commit,
        "engine": "onnx",
    }
    holdout = report["holdout"]
    assert holdout["metric"] == "roc_auc"
    assert holdout["low"] < holdout["value"] < holdout["high"]


def test_health_counts_requests_refusals_missing_values_and_unknown_categories(
    income_server: Serving, http: httpx.Client
) -> None:
    before = http.get("/health").json()
    row = dict(income_server.bundle.artifact.golden.rows[0])
    odd = {**row, "occupation": "astronaut", "workclass": None}
    assert http.post("/predict", json={"rows": [row, odd]}).status_code == 200
    assert http.post("/predict", json={"rows": []}).status_code == 400
    after = http.get("/health").json()
    assert after["requests"] - before["requests"] == 2
    assert after["refused"] - before["refused"] == 1
    assert after["errors"] == 0
    assert after["rows"] - before["rows"] == 2
    seen = before["unknown_categories"].get("occupation", 0)
    assert after["unknown_categories"]["occupation"] == seen + 1
    assert 0 < after["missing_share"] <= 1
    assert 0 < after["latency_ms"]["p50"] <= after["latency_ms"]["p99"]


def test_every_answer_names_the_version(income_server: Serving, http: httpx.Client) -> None:
    manifest = income_server.bundle.manifest
    row = income_server.bundle.artifact.golden.rows[0]
    badge = f"income/1/{manifest.model_digest[:12]}"
    answer = http.post("/v2/models/income/infer", json=v2_request(income_server.contract, [row]))
    assert answer.headers["assay-model"] == badge
    assert (answer.json()["model_name"], answer.json()["model_version"]) == ("income", "1")
    assert http.post("/predict", json={}).headers["assay-model"] == badge  # a refusal too
    metadata = http.get("/v2/models/income").json()
    assert metadata["parameters"]["model_digest"] == manifest.model_digest
    assert metadata["parameters"]["run_id"] == manifest.run_id
    assert manifest.model_digest in income_server.server.log.read_text()


def test_request_ids_come_back(http: httpx.Client) -> None:
    answer = http.post("/predict", json={}, headers={"x-request-id": "abc-123"})
    assert answer.headers["x-request-id"] == "abc-123"
    answer = http.post("/predict", json={}, headers={"x-request-id": "a" * 200})
    assert "x-request-id" not in answer.headers


def test_prometheus_sees_what_the_door_answers(income_server: Serving, http: httpx.Client) -> None:
    row = income_server.bundle.artifact.golden.rows[0]
    http.post("/v2/models/income/infer", json=v2_request(income_server.contract, [row]))
    http.post("/predict", json={"rows": "none"})
    text = httpx.get(income_server.server.metrics).text
    for series in (
        'model_infer_request_success_total{model="income",version="1"}',
        'model_infer_request_failure_total{model="income",version="1"}',
        'rest_server_requests_total{app_name="mlserver",method="POST",'
        'path="/v2/models/{model_name}/infer",status_code="200"}',
        "assay_rows_total",
        'assay_problems_total{code="wrong_structure"}',
    ):
        (line,) = [line for line in text.splitlines() if line.startswith(series)]
        assert float(line.rsplit(" ", 1)[1]) >= 1


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/index",
        "/v2/repository/models/income/load",
        "/v2/repository/models/income/unload",
        "/v2/models/income/generate",
        "/v2/models/income/infer_stream",
    ],
)
def test_nothing_moves_models_or_passes_the_contract_by(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json={})
    assert answer.status_code == 404
    assert answer.json()["problems"][0]["code"] == "unknown_path"
    assert http.get("/v2/health/ready").status_code == 200


def test_the_pyfunc_engine_answers_the_same(
    income_pyfunc_server: Serving, income_bundle: Bundle
) -> None:
    golden = income_bundle.artifact.golden
    with httpx.Client(base_url=income_pyfunc_server.rest, timeout=30) as http:
        assert http.get("/health").json()["model"]["engine"] == "pyfunc"
        answers = _client(http, income_bundle).infer(golden.rows)
    assert answers["prediction"] == golden.outputs["prediction"]
    np.testing.assert_allclose(answers["probability"], golden.outputs["probability"], atol=1e-9)


@pytest.mark.parametrize("damage", ["file", "golden"])
def test_a_server_that_cannot_prove_its_bundle_does_not_stay(
    income_bundle: Bundle, tmp_path: Path, damage: str
) -> None:
    bundle = _copy(income_bundle, tmp_path)
    golden = bundle.folder / MODEL / "assay" / "golden.json"
    document = json.loads(golden.read_text())
    document["outputs"]["probability"][3][0] += 1e-3
    golden.write_text(json.dumps(document))
    if damage == "golden":  # an honest bundle of a model that answers otherwise
        manifest = json.loads((bundle.folder / "manifest.json").read_text())
        name = "model/assay/golden.json"
        from serving.bundle import file_digest

        manifest["files"][name] = file_digest(golden)
        write_json(bundle.folder / "manifest.json", manifest)
    expected = "does not repeat the golden rows" if damage == "golden" else "not the file that was"
    with pytest.raises(ServingError, match=expected) as failed, running(bundle.folder):
        pass
    assert "ended with 1" in str(failed.value)


def test_plain_mlserver_start_serves_a_bundle(income_bundle: Bundle) -> None:
    """The command of the README, without any of our own process handling."""
    from serving.process import free_ports

    ports = free_ports()
    process = subprocess.Popen(
        [Path(sys.executable).parent / "mlserver", "start", str(income_bundle.folder)],
        env={"PATH": "/usr/bin:/bin", **ports.environment("127.0.0.1")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{ports.http}/v2/health/ready"
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if httpx.get(url).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        else:
            pytest.fail("not ready")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_sigterm_loses_no_accepted_request(income_bundle: Bundle, tmp_path: Path) -> None:
    bundle = _copy(income_bundle, tmp_path, drain_seconds=4.0)
    row = income_bundle.artifact.golden.rows[0]
    document = v2_request(income_bundle.artifact.contract, [row])

    def client(url: str) -> tuple[int, list[str]]:
        """Ask until the server is gone; what went wrong after a request was accepted."""
        answered, lost = 0, []
        with httpx.Client(base_url=url, timeout=10) as http:
            while True:
                try:
                    answer = http.post("/v2/models/income/infer", json=document)
                except httpx.ConnectError:
                    return answered, lost
                except httpx.TransportError as error:
                    lost.append(repr(error))
                    continue
                assert answer.status_code == 200
                answered += 1

    with (
        running(bundle.folder) as server,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        clients = [pool.submit(client, server.rest) for _ in range(8)]
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert httpx.get(server.rest + "/v2/health/ready").status_code != 200
        assert httpx.get(server.rest + "/health").json()["status"] == "draining"
        results = [each.result(20) for each in clients]
        assert server.process.wait(20) == 0
    assert [lost for _, lost in results if lost] == []
    assert all(answered > 10 for answered, _ in results)


def test_ctrl_c_does_not_wait_for_clients_to_move_away(
    income_bundle: Bundle, tmp_path: Path
) -> None:
    with running(_copy(income_bundle, tmp_path, drain_seconds=25.0).folder) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(15) == 0


def test_a_request_that_outwaits_its_deadline_is_refused(income_pyfunc_server: Serving) -> None:
    """Two requests keep the slow engine busy; the third has said how long it waits."""
    contract = income_pyfunc_server.contract
    rows = income_pyfunc_server.bundle.artifact.golden.rows
    large = v2_request(contract, (rows * 60)[:6000])
    hurried = {**v2_request(contract, rows[:1]), "parameters": {"timeout": 1000}}
    url = f"{income_pyfunc_server.rest}/v2/models/income/infer"
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        busy = [pool.submit(httpx.post, url, json=large, timeout=60) for _ in range(2)]
        statuses = set()
        while not all(each.done() for each in busy):
            answer = httpx.post(url, json=hurried, timeout=60)
            statuses.add(answer.status_code)
            if answer.status_code == 504:
                assert answer.json()["problems"][0]["code"] == "deadline_exceeded"
        assert [each.result().status_code for each in busy] == [200, 200]
    assert 504 in statuses
    assert statuses <= {200, 504}


def test_overflow_is_refused_at_once_and_says_when_to_come_back(
    income_pyfunc_bundle: Bundle, tmp_path: Path
) -> None:
    bundle = _copy(income_pyfunc_bundle, tmp_path, max_waiting=2)
    golden = bundle.artifact.golden
    document = v2_request(bundle.artifact.contract, golden.rows[:50])
    with running(bundle.folder) as server, concurrent.futures.ThreadPoolExecutor(12) as pool:
        url = f"{server.rest}/v2/models/income/infer"
        answers = list(pool.map(lambda _: httpx.post(url, json=document, timeout=30), range(60)))
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["problems"][0]["code"] == "overloaded"
        else:
            assert answer.json()["outputs"][0]["data"] == golden.outputs["prediction"][:50]
