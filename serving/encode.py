"""Named arrays become the answer that each door gives."""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from registry.contract import Contract, Output
from serving.decode import Request

Array = NDArray[np.generic]
Outputs = Mapping[str, Array]

DTYPES = {
    "BOOL": np.dtype("?"),
    "INT64": np.dtype("<i8"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype("O"),
}
CONTENTS = {
    "BOOL": "bool_contents",
    "INT64": "int64_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
LENGTH = struct.Struct("<I")


class Encoder:
    """Writes answers for one version of a model. In JSON a number that is not finite is null."""

    def __init__(self, contract: Contract, model_name: str, model_version: str) -> None:
        self._name = model_name
        self._version = model_version
        self._tensors = {output.name: _Tensor(output) for output in contract.outputs}
        self._all = tuple(self._tensors.values())
        head = {"model_name": model_name, "model_version": model_version}
        self._head = orjson.dumps(head)[:-1]

    def v2_json(self, request: Request, outputs: Outputs) -> bytes:
        """A V2 inference response."""
        head = self._head
        if request.id is not None:
            head += b',"id":' + orjson.dumps(request.id)
        tensors = [tensor.json(outputs[tensor.name]) for tensor in self._chosen(request)]
        return head + b',"outputs":[' + b",".join(tensors) + b"]}"

    def predict_json(self, _request: Request, outputs: Outputs) -> bytes:
        """`{"predictions": […], "probabilities": [{class: p}, …], "model": {…}}`."""
        answer: dict[str, Any] = {"predictions": self._predictions(outputs)}
        probability = self._tensors.get("probability")
        if probability is not None:
            rows = outputs["probability"].astype(np.float64).tolist()
            answer["probabilities"] = [
                dict(zip(probability.labels, row, strict=True)) for row in rows
            ]
        answer["model"] = {"name": self._name, "version": self._version}
        return orjson.dumps(answer)

    def invocations_json(self, _request: Request, outputs: Outputs) -> bytes:
        """MLflow's `{"predictions": […]}`."""
        return orjson.dumps({"predictions": self._predictions(outputs)})

    def v2_grpc(self, request: Request, outputs: Outputs, message: Callable[..., Any]) -> Any:
        """An `inference.ModelInferResponse`, whose class is `message`.

        Contents are raw where the request's were: Triton's client reads nothing else.
        """
        response = message(model_name=self._name, model_version=self._version)
        if request.id is not None:
            response.id = request.id
        for tensor in self._chosen(request):
            values = outputs[tensor.name]
            output = response.outputs.add()
            tensor.describe(output, request.rows)
            if request.raw:
                response.raw_output_contents.append(tensor.raw(values))
            else:
                tensor.fill(output.contents, values)
        return response

    def _predictions(self, outputs: Outputs) -> list[Any]:
        return self._tensors["prediction"].flat(outputs["prediction"])

    def _chosen(self, request: Request) -> Iterable["_Tensor"]:
        if request.outputs is None:
            return self._all
        return [self._tensors[name] for name in request.outputs]


class _Tensor:
    """Writes one output of the contract."""

    def __init__(self, output: Output) -> None:
        self.name = output.name
        self.datatype = output.datatype
        self.width = output.shape[1:]
        self.labels = [label(name) for name in output.classes or ()]
        parameters: dict[str, Any] = {"content_type": "str" if output.datatype == "BYTES" else "np"}
        if output.classes is not None:
            parameters["classes"] = output.classes
        # gRPC parameters hold no lists: the classes are JSON text there.
        self.parameters = {
            key: value if type(value) is str else orjson.dumps(value).decode()
            for key, value in parameters.items()
        }
        described = {"name": output.name, "datatype": output.datatype, "parameters": parameters}
        self._json_head = orjson.dumps(described)[:-1] + b',"shape":['
        self._json_tail = b"".join(b",%d" % size for size in self.width) + b'],"data":'

    def flat(self, values: Array) -> list[Any]:
        """The values as Python's own, row after row."""
        flat: list[Any] = values.reshape(-1).astype(DTYPES[self.datatype], copy=False).tolist()
        return flat

    def json(self, values: Array) -> bytes:
        """The tensor in a V2 response."""
        data = orjson.dumps(self.flat(values))
        return b"%b%d%b%b}" % (self._json_head, len(values), self._json_tail, data)

    def describe(self, output: Any, rows: int) -> None:
        """Fill in everything but the contents of an InferOutputTensor."""
        output.name = self.name
        output.datatype = self.datatype
        output.shape.extend((rows, *self.width))
        for key, value in self.parameters.items():
            output.parameters[key].string_param = value

    def fill(self, contents: Any, values: Array) -> None:
        """Fill in an InferTensorContents."""
        flat = self.flat(values)
        if self.datatype == "BYTES":
            flat = [text.encode() for text in flat]
        getattr(contents, CONTENTS[self.datatype]).extend(flat)

    def raw(self, values: Array) -> bytes:
        """The contents as raw bytes."""
        if self.datatype != "BYTES":
            return values.astype(DTYPES[self.datatype], copy=False).tobytes()
        texts = [text.encode() for text in self.flat(values)]
        return b"".join(LENGTH.pack(len(text)) + text for text in texts)


def label(name: str | int | bool) -> str:
    """A class as a JSON key."""
    return str(name).lower() if type(name) is bool else str(name)
