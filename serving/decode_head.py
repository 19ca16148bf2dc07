"""What a V2 request says beside its tensors: id, parameters, and the outputs it wants."""

from collections.abc import Mapping, Set
from typing import Any

from serving.problems import Code
from serving.table import Table

ID_LENGTH = 128
REQUEST_FIELDS = frozenset({"id", "parameters", "inputs", "outputs"})
OUTPUT_FIELDS = frozenset({"name", "parameters"})
CONTENT_TYPES = frozenset({"pd", "np", "dict", "str"})
"""MLServer's request codecs; each of them means the same columns."""
UNSUPPORTED = frozenset({"classification", "shared_memory_region"})
"""Triton's parameters that would change what an output is."""


def read_head(document: Mapping[str, Any], table: Table) -> None:
    """Read everything but the inputs."""
    table.check_fields(document, REQUEST_FIELDS)
    if document.get("id") is not None:
        _read_id(document["id"], table)
    if document.get("parameters") is not None:
        _read_parameters(document["parameters"], table)
    if document.get("outputs") is not None:
        _read_outputs(document["outputs"], table)


def _read_id(value: Any, table: Table) -> None:
    if type(value) is str and len(value) <= ID_LENGTH and value.isprintable():
        table.id = value
    else:
        message = f"`id` must be at most {ID_LENGTH} printable characters"
        table.problems.add(None, Code.WRONG_ID, message)


def _read_parameters(parameters: Any, table: Table) -> None:
    if type(parameters) is not dict:
        table.problems.add(None, Code.WRONG_STRUCTURE, "`parameters` must be an object")
        return
    table.keys += len(parameters)
    if not known_content_type(parameters, CONTENT_TYPES):
        table.problems.add(
            None, Code.UNKNOWN_CONTENT_TYPE, f"`content_type` is one of {listing(CONTENT_TYPES)}"
        )
    timeout = parameters.get("timeout", 0)
    if type(timeout) is int and timeout >= 0:
        table.timeout_us = timeout or None  # Triton's 0 means none
    else:
        message = "`timeout` must be a whole number of microseconds"
        table.problems.add(None, Code.WRONG_PARAMETER, message)


def _read_outputs(outputs: Any, table: Table) -> None:
    if type(outputs) is not list:
        table.problems.add(None, Code.WRONG_STRUCTURE, "`outputs` must be an array")
        return
    table.bound(len(outputs), "`outputs`")
    chosen: list[str] = []
    for output in outputs:
        name = output.get("name") if type(output) is dict else None
        if type(name) is not str or not output.keys() <= OUTPUT_FIELDS:
            message = "an element of `outputs` must be an object with `name` (and `parameters`)"
            table.problems.add(None, Code.WRONG_STRUCTURE, message)
            continue
        table.keys += len(output)
        parameters = {} if output.get("parameters") is None else output["parameters"]
        if type(parameters) is not dict or not UNSUPPORTED.isdisjoint(parameters):
            message = "this output comes as it is: no classification, no shared memory"
            table.problems.add(name, Code.WRONG_PARAMETER, message)
            continue
        table.keys += len(parameters)
        if name not in table.schema.outputs:
            message = f"the outputs are {listing(table.schema.outputs)}"
            table.problems.add(name, Code.UNKNOWN_OUTPUT, message)
        elif name in chosen:
            table.problems.add(name, Code.DUPLICATE_OUTPUT, "this output is asked for twice")
        else:
            chosen.append(name)
    table.outputs = tuple(chosen)


def known_content_type(parameters: Mapping[str, Any], known: Set[str]) -> bool:
    """Whether the content type, where there is one, is among those."""
    content_type = parameters.get("content_type")
    return content_type is None or (type(content_type) is str and content_type in known)


def listing(names: Set[str]) -> str:
    """Names in a sentence."""
    return ", ".join(sorted(names))
