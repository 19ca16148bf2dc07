"""Whether what came back over one way is what had to come back."""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from serving.bundle import Bundle
from serving.clients import Answers
from serving.compare import compare
from serving.load import Case
from serving.plane import PYFUNC_TOLERANCE
from serving.problems import Code

OK = 200
INVALID = 400
OVERLOADED = 503


class Kind(StrEnum):
    """What became of a request."""

    ANSWERED = "answered"
    """A valid request got the right answer."""
    REFUSED = "refused"
    """An invalid request was refused for the right reason."""
    OVERLOADED = "overloaded"
    """503: the server has too much to do, and says so."""
    FAILED = "failed"
    """Anything else."""


class Outcome(NamedTuple):
    """What became of one request, and why it counts as failed."""

    kind: Kind
    reason: str | None = None


class Reply(NamedTuple):
    """What came back, whatever the way."""

    status: int
    """HTTP's; gRPC's is translated."""
    body: bytes
    read: Callable[[], Answers]


class Judge:
    """Judges replies to one way's cases."""

    def __init__(self, bundle: Bundle) -> None:
        artifact = bundle.artifact
        self._contract = artifact.contract
        onnx = bundle.manifest.engine == "onnx"
        self._tolerance = artifact.parity.tolerance if onnx else PYFUNC_TOLERANCE
        # A body that was right once is right: comparing bytes leaves the load test's own
        # processor to the load.
        self._right: dict[int, bytes] = {}

    def judge(self, case: Case, reply: Reply) -> Outcome:
        """Say what became of a request."""
        if reply.status == OVERLOADED:
            return Outcome(Kind.OVERLOADED)
        if case.expected is None:
            return self._refused(case, reply)
        if reply.status != OK:
            return Outcome(Kind.FAILED, f"status {reply.status}: {_error(reply.body)}")
        if self._right.get(case.number) == reply.body:
            return Outcome(Kind.ANSWERED)
        return self._compared(case, reply)

    def _refused(self, case: Case, reply: Reply) -> Outcome:
        if reply.status == OK:
            return Outcome(Kind.FAILED, f"an invalid request ({case.refusal}) was answered")
        if reply.status == INVALID and case.refusal in _codes(reply.body):
            return Outcome(Kind.REFUSED)
        return Outcome(
            Kind.FAILED,
            f"status {reply.status} instead of a refusal ({case.refusal}): {_error(reply.body)}",
        )

    def _compared(self, case: Case, reply: Reply) -> Outcome:
        try:
            difference = compare(self._contract, case.expected or {}, reply.read())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Outcome(Kind.FAILED, f"unreadable answer: {error!r}")
        if not difference.within(self._tolerance):
            return Outcome(
                Kind.FAILED,
                f"wrong answer: {difference.label_flips} of {difference.rows} labels differ, "
                f"numbers by up to {difference.largest:.2g}",
            )
        self._right[case.number] = reply.body
        return Outcome(Kind.ANSWERED)


def _codes(body: bytes) -> set[Code]:
    try:
        return {Code(problem["code"]) for problem in json.loads(body)["problems"]}
    except (ValueError, KeyError, TypeError):
        return set()


def _error(body: bytes) -> str:
    """What the server said, short and without what changes from one request to the next."""
    try:
        document: Any = json.loads(body)
        said = str(document["error"])
    except (ValueError, KeyError, TypeError):
        said = body[:80].decode(errors="replace")
    return said.partition("; incident ")[0][:120]
