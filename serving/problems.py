"""Why a request is refused: a closed list of codes, and one JSON shape for every door."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

NAME_LENGTH = 80
"""Characters kept of a name out of a request."""
MESSAGE_LENGTH = 240
MOST_PROBLEMS = 16
MOST_BYTES = 4096
"""Bytes of a whole answer. gRPC carries it in a header, and clients take 8 KB of headers."""
ROOM_FOR_NOTE = 128


class Code(StrEnum):
    """What can be wrong with a request. docs/protocol.md explains each one."""

    # The body
    MALFORMED_HTTP = "malformed_http"
    EMPTY_BODY = "empty_body"
    MALFORMED_COMPRESSION = "malformed_compression"
    MALFORMED_JSON = "malformed_json"
    MALFORMED_CSV = "malformed_csv"
    MALFORMED_MESSAGE = "malformed_message"
    INVALID_UTF8 = "invalid_utf8"
    TOO_DEEP = "too_deep"
    DUPLICATE_KEY = "duplicate_key"
    WRONG_STRUCTURE = "wrong_structure"
    UNKNOWN_FIELD = "unknown_field"
    WRONG_ID = "wrong_id"
    WRONG_PARAMETER = "wrong_parameter"
    BINARY_TENSOR = "binary_tensor"
    UNKNOWN_CONTENT_TYPE = "unknown_content_type"
    # Inputs and outputs
    MISSING_INPUT = "missing_input"
    UNKNOWN_INPUT = "unknown_input"
    DUPLICATE_INPUT = "duplicate_input"
    UNKNOWN_OUTPUT = "unknown_output"
    DUPLICATE_OUTPUT = "duplicate_output"
    WRONG_SHAPE = "wrong_shape"
    WRONG_DATATYPE = "wrong_datatype"
    # Values
    NULL = "null"
    LOSSY_NUMBER = "lossy_number"
    OUT_OF_RANGE = "out_of_range"
    NOT_FINITE = "not_finite"
    INVALID_DATETIME = "invalid_datetime"
    INVALID_BASE64 = "invalid_base64"
    # Too much
    TOO_MANY_ROWS = "too_many_rows"
    TOO_LARGE = "too_large"
    MORE_PROBLEMS = "more_problems"
    # The door
    UNKNOWN_PATH = "unknown_path"
    UNKNOWN_MODEL = "unknown_model"
    UNKNOWN_VERSION = "unknown_version"
    WRONG_METHOD = "wrong_method"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    SLOW_BODY = "slow_body"
    NOT_READY = "not_ready"
    OVERLOADED = "overloaded"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input (or output), or with the whole request (None)."""

    input: str | None
    code: Code
    message: str


class Refusal(Exception):  # noqa: N818 - an answer that the protocol foresees
    """The answer to a request that is not served."""

    def __init__(
        self, status: int, error: str, problems: Iterable[Problem] = (), unlisted: int = 0
    ) -> None:
        super().__init__(error)
        self.status = status
        """The HTTP status; the gRPC door translates it."""
        self.error = error
        """One sentence."""
        self.problems = tuple(problems)
        self.unlisted = unlisted
        """Problems that were only counted."""

    def text(self) -> str:
        """The answer as JSON in ASCII, never more than `MOST_BYTES`."""
        error = json.dumps(clip(self.error, 2 * MESSAGE_LENGTH))
        room = MOST_BYTES - ROOM_FOR_NOTE - len(error)
        listed: list[str] = []
        for problem in self.problems:
            entry = _entry(problem)
            room -= len(entry) + 2
            if room < 0:
                break
            listed.append(entry)
        left = len(self.problems) - len(listed) + self.unlisted
        if left:
            listed.append(_entry(Problem(None, Code.MORE_PROBLEMS, f"{left} more are not listed")))
        return f'{{"error": {error}, "problems": [{", ".join(listed)}]}}'

    def body(self) -> bytes:
        """The same text as bytes."""
        return self.text().encode("ascii")


class Problems:
    """All that is wrong with one request: the first ones in words, the others counted."""

    def __init__(self) -> None:
        self.listed: list[Problem] = []
        self.count = 0

    def add(self, name: str | None, code: Code, message: str) -> None:
        """Note one problem."""
        self.count += 1
        if len(self.listed) < MOST_PROBLEMS:
            self.listed.append(Problem(name, code, message))

    def refusal(self) -> Refusal:
        """One answer for all of them."""
        first = self.listed[0]
        sentence = _sentence(first.input, first.message)
        if self.count > 1:
            sentence = f"{self.count} problems; the first: {sentence}"
        return Refusal(400, sentence, self.listed, self.count - len(self.listed))


def refuse(status: int, code: Code, message: str, name: str | None = None) -> Refusal:
    """A refusal for a single reason; `message` is part of a sentence."""
    return Refusal(status, _sentence(name, message), (Problem(name, code, message),))


def clip(text: str, length: int = NAME_LENGTH) -> str:
    """Make a text out of a request short and printable."""
    kept = text if len(text) <= length else text[: length - 1] + "…"
    return kept if kept.isprintable() else "".join(c if c.isprintable() else "?" for c in kept)


def too_large(max_bytes: int) -> Refusal:
    """The body has more bytes than one request may have."""
    return refuse(413, Code.TOO_LARGE, f"the body is larger than {max_bytes} bytes")


def deadline_exceeded() -> Refusal:
    """The client's own deadline passed while its request waited."""
    return refuse(504, Code.DEADLINE_EXCEEDED, "the request's deadline passed before its turn came")


def _sentence(name: str | None, message: str) -> str:
    return message if name is None else f"{clip(name)}: {message}"


def _entry(problem: Problem) -> str:
    name = None if problem.input is None else clip(problem.input)
    message = clip(problem.message, MESSAGE_LENGTH)
    return json.dumps({"input": name, "code": problem.code.value, "message": message})
