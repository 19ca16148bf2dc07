"""JSON, strictly: what a fast parser drops in silence is refused."""

import json
from collections import Counter
from typing import Any, NoReturn

import orjson

from serving.problems import Code, clip, refuse

BINARY_TENSOR = (
    "binary tensors are not taken over REST: send the values as JSON in `data` "
    "(tritonclient: binary_data=False), or use gRPC"
)


def parse(body: bytes) -> dict[str, Any]:
    """Parse a JSON object. It may still have lost duplicate keys: see `check_keys`."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _reparse(body)
    if type(document) is not dict:
        raise refuse(400, Code.WRONG_STRUCTURE, "the JSON must be an object")
    return document


def check_keys(body: bytes, keys: int) -> None:
    """Refuse duplicate keys, given how many keys were found in the parsed document.

    The fast parser keeps the last of equal keys. Each key costs a colon: as many colons as keys
    means no duplicates. Otherwise (text may hold colons too) a parser that tells goes over it.
    """
    if body.count(b":") != keys:
        _parse_strictly(body)


def _reparse(body: bytes) -> Any:
    """Say what the fast parser did not like; numbers beyond double precision are infinite."""
    if not body.strip():
        raise refuse(400, Code.EMPTY_BODY, "the body is empty")
    if b'"binary_data_size"' in body:
        raise refuse(400, Code.BINARY_TENSOR, BINARY_TENSOR)
    document = _parse_strictly(body)
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise refuse(400, Code.INVALID_UTF8, "a string has half a surrogate pair") from None
    return document


def _parse_strictly(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise refuse(400, Code.INVALID_UTF8, "the body is not UTF-8") from None
    except RecursionError:
        raise refuse(400, Code.TOO_DEEP, "the JSON is nested too deep") from None
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise refuse(400, Code.MALFORMED_JSON, message) from None
    except ValueError:  # Python refuses integers of thousands of digits
        raise refuse(400, Code.OUT_OF_RANGE, "a number is too large") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        ((twice, _),) = counts.most_common(1)
        raise refuse(400, Code.DUPLICATE_KEY, f"the key {clip(twice)} occurs twice in one object")
    return document


def _refuse_constant(_name: str) -> NoReturn:
    raise refuse(400, Code.MALFORMED_JSON, "not JSON: NaN and Infinity are no JSON; send null")
