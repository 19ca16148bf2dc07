"""Clients of a served bundle, one for each way to ask, all given the same row documents.

They are what `ask`, `probe` and the load test speak with, so that each way is used as its users
would.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import httpx
import numpy as np
from numpy.typing import NDArray

from registry.contract import Column, Contract

Row = Mapping[str, Any]
Answers = dict[str, Any]
"""Predictions and, from a classifier, probabilities; as lists or arrays, one entry a row."""

NUMPY_TYPES = {
    "BOOL": np.bool_,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}


class Client(Protocol):
    """One way to ask."""

    name: str

    def infer(self, rows: Sequence[Row]) -> Answers:
        """Answer rows; raises httpx.HTTPStatusError or tritonclient's InferenceServerException."""
        ...


def v2_request(contract: Contract, rows: Sequence[Row]) -> dict[str, Any]:
    """The V2 request for these rows, a tensor a column; a missing key is null."""
    return {
        "inputs": [
            {
                "name": column.name,
                "datatype": column.datatype,
                "shape": [len(rows), 1],
                "data": [row.get(column.name) for row in rows],
            }
            for column in contract.columns
        ]
    }


def rows_request(rows: Sequence[Row]) -> dict[str, Any]:
    """The V2 request that carries these rows as documents."""
    documents = [json.dumps(row) for row in rows]
    tensor = {"name": "rows", "datatype": "BYTES", "shape": [len(rows)], "data": documents}
    return {"inputs": [tensor]}


class _Rest:
    """Posts JSON."""

    path: str

    def __init__(self, http: httpx.Client, model: str, contract: Contract) -> None:
        self._http = http
        self._model = model
        self._contract = contract

    def _post(self, document: Any) -> Any:
        response = self._http.post(self.path.format(model=self._model), json=document)
        response.raise_for_status()
        return response.json()


class RestClient(_Rest):
    """V2 over REST, a tensor a column."""

    name = "V2 REST"
    path = "/v2/models/{model}/infer"

    def infer(self, rows: Sequence[Row]) -> Answers:
        """Answer rows."""
        return v2_answers(self._post(v2_request(self._contract, rows)))


class RowsClient(_Rest):
    """V2 over REST, rows as documents."""

    name = "V2 REST rows"
    path = "/v2/models/{model}/infer"

    def infer(self, rows: Sequence[Row]) -> Answers:
        """Answer rows."""
        return v2_answers(self._post(rows_request(rows)))


class PredictClient(_Rest):
    """Plain JSON."""

    name = "/predict"
    path = "/predict"

    def infer(self, rows: Sequence[Row]) -> Answers:
        """Answer rows."""
        return predict_answers(self._post({"rows": rows}))


class InvocationsClient(_Rest):
    """MLflow's own way; it answers predictions only."""

    name = "/invocations"
    path = "/invocations"

    def infer(self, rows: Sequence[Row]) -> Answers:
        """Answer rows."""
        names = [column.name for column in self._contract.columns]
        table = {"columns": names, "data": [[row.get(name) for name in names] for row in rows]}
        return {"prediction": self._post({"dataframe_split": table})["predictions"]}


class GrpcClient:
    """V2 over gRPC through tritonclient, which sends raw contents."""

    name = "V2 gRPC"

    def __init__(self, address: str, model: str, contract: Contract) -> None:
        # Here, because its protobuf messages and MLServer's have the same names: a
        # process has one of them.
        import tritonclient.grpc

        self._client = tritonclient.grpc.InferenceServerClient(address)
        self._model = model
        self._contract = contract

    def infer(self, rows: Sequence[Row]) -> Answers:
        """Answer rows."""
        return grpc_answers(self._contract, self.send(grpc_request(self._contract, rows)))

    def send(self, tensors: list[Any], seconds: float | None = None) -> Any:
        """Send tritonclient's tensors; its result. The deadline is so many seconds."""
        return self._client.infer(self._model, tensors, client_timeout=seconds)

    def close(self) -> None:
        """Close the channel."""
        self._client.close()


def grpc_request(contract: Contract, rows: Sequence[Row]) -> list[Any]:
    """Tritonclient's tensors for these rows; no tensor holds a null but NaN: others go as JSON."""
    nulls = any(
        row.get(column.name) is None
        for column in contract.columns
        if column.type not in ("float", "double")
        for row in rows
    )
    if nulls:
        documents = np.array([json.dumps(row).encode() for row in rows], dtype=np.object_)
        return [_tensor("rows", "BYTES", documents)]
    return [_column(column, rows) for column in contract.columns]


def grpc_answers(contract: Contract, result: Any) -> Answers:
    """What tritonclient's result holds."""
    answers: Answers = {}
    for output in contract.outputs:
        values = result.as_numpy(output.name)
        texts = output.datatype == "BYTES"
        answers[output.name] = [v.decode() for v in values.tolist()] if texts else values
    return answers


def _column(column: Column, rows: Sequence[Row]) -> Any:
    values = [row.get(column.name) for row in rows]
    if column.datatype == "BYTES":
        values = [str(value).encode() for value in values]
    array: NDArray[Any] = np.array(values, dtype=NUMPY_TYPES[column.datatype])
    return _tensor(column.name, column.datatype, array)


def _tensor(name: str, datatype: str, array: Any) -> Any:
    import tritonclient.grpc

    tensor = tritonclient.grpc.InferInput(name, [len(array)], datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def predict_answers(document: Any) -> Answers:
    """What a response of /predict holds."""
    answers: Answers = {"prediction": document["predictions"]}
    if "probabilities" in document:
        answers["probability"] = [list(each.values()) for each in document["probabilities"]]
    return answers


def v2_answers(document: Any) -> Answers:
    """What a V2 response holds."""
    answers: Answers = {}
    for output in document["outputs"]:
        values = output["data"]
        if len(output["shape"]) > 1:
            values = np.array(values, dtype=np.float64).reshape(output["shape"])
        answers[output["name"]] = values
    return answers
