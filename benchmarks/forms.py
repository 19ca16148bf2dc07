"""The forms in which contenders are asked, each rendered to bytes before anything is timed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import orjson

from benchmarks.subject import TOLERANCE, Subject
from registry.contract import Contract
from serving.clients import Answers, Row, v2_request
from serving.compare import compare

CONTENTS = {
    "BOOL": "bool_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class Form(Protocol):
    """One way to ask, from rows to bytes and from bytes to answers."""

    def request(self, contract: Contract, rows: Sequence[Row], name: str) -> bytes:
        """The request for these rows; where the protocol has ids, `name` is its id."""
        ...

    def answers(self, body: bytes) -> tuple[str | None, Answers]:
        """The id of the answer, where the protocol has ids, and what was answered."""
        ...


def _http(path: str, document: Any) -> bytes:
    body = orjson.dumps(document)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class V2Rest:
    """The V2 protocol over REST, a tensor a column."""

    def __init__(self, model: str) -> None:
        self._path = f"/v2/models/{model}/infer"

    def request(self, contract: Contract, rows: Sequence[Row], name: str) -> bytes:
        """A whole HTTP request."""
        return _http(self._path, {"id": name, **v2_request(contract, rows)})

    def answers(self, body: bytes) -> tuple[str | None, Answers]:
        """Stock MLServer calls its one output `output-1`; Assay names each."""
        document = orjson.loads(body)
        first, *others = document["outputs"]
        answers: Answers = {"prediction": first["data"]}
        for output in others:
            answers[output["name"]] = np.reshape(output["data"], output["shape"])
        return document["id"], answers


class Invocations:
    """MLflow's own protocol, rows under the names of their columns."""

    def request(self, contract: Contract, rows: Sequence[Row], name: str) -> bytes:  # noqa: ARG002
        """A whole HTTP request."""
        names = [column.name for column in contract.columns]
        data = [[row[column] for column in names] for row in rows]
        return _http("/invocations", {"dataframe_split": {"columns": names, "data": data}})

    def answers(self, body: bytes) -> tuple[str | None, Answers]:
        """Labels only."""
        return None, {"prediction": orjson.loads(body)["predictions"]}


class Records:
    """BentoML's form of a data frame: a list of documents."""

    def request(self, contract: Contract, rows: Sequence[Row], name: str) -> bytes:  # noqa: ARG002
        """A whole HTTP request."""
        return _http("/predict", {"rows": rows})

    def answers(self, body: bytes) -> tuple[str | None, Answers]:
        """Labels only."""
        return None, {"prediction": orjson.loads(body)}


class V2Grpc:
    """The V2 protocol over gRPC, typed contents."""

    def __init__(self, model: str) -> None:
        # Here, because its messages and MLServer's have the same names: a process has one of them.
        from tritonclient.grpc import service_pb2

        self._messages = service_pb2
        self._model = model

    def request(self, contract: Contract, rows: Sequence[Row], name: str) -> bytes:
        """A serialised ModelInferRequest."""
        message = self._messages.ModelInferRequest(model_name=self._model, id=name)
        for column in contract.columns:
            tensor = message.inputs.add()
            tensor.name, tensor.datatype = column.name, column.datatype
            tensor.shape.extend((len(rows), 1))
            values = [row[column.name] for row in rows]
            if column.datatype == "BYTES":
                values = [str(value).encode() for value in values]
            getattr(tensor.contents, CONTENTS[column.datatype]).extend(values)
        serialised: bytes = message.SerializeToString()
        return serialised

    def answers(self, body: bytes) -> tuple[str | None, Answers]:
        """Read a serialised ModelInferResponse."""
        message = self._messages.ModelInferResponse.FromString(body)
        first, *others = message.outputs
        answers: Answers = {"prediction": [v.decode() for v in first.contents.bytes_contents]}
        for output in others:
            values = getattr(output.contents, CONTENTS[output.datatype])
            answers[output.name] = np.reshape(values, list(output.shape))
        return message.id, answers


@dataclass
class Work:
    """Requests to send in turn, and which bytes answer them rightly."""

    form: Form
    contract: Contract
    requests: list[bytes]
    expected: list[Mapping[str, Any]]
    known: dict[int, bytes] = field(default_factory=dict)
    """The answer to each request as it was last found right: equal bytes need no second look."""

    def complaint(self, position: int, body: bytes) -> str | None:
        """Say what is wrong with the answer to that request, or None."""
        if self.known.get(position) == body:
            return None
        try:
            name, answers = self.form.answers(body)
            difference = compare(self.contract, self.expected[position], answers)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return f"cannot be read ({error!r}): {body[:200]!r}"
        if name not in (None, str(position)):
            return f"answers request {name}, not {position}"
        if not difference.within(TOLERANCE):
            return (
                f"{difference.label_flips} of {difference.rows} labels differ, "
                f"largest difference {difference.largest:g}"
            )
        self.known[position] = body
        return None


def work(form: Form, subject: Subject, rows: int) -> Work:
    """Requests of so many rows each, over all rows; many rows overlap from one to the next."""
    starts = range(0, len(subject.rows) - rows + 1, max(1, rows // 5))
    return Work(
        form=form,
        contract=subject.contract,
        requests=[
            form.request(subject.contract, subject.rows[start : start + rows], str(position))
            for position, start in enumerate(starts)
        ],
        expected=[subject.answers(start, start + rows) for start in starts],
    )
