"""The feature steps of a pipeline as ONNX nodes: columns in, [n, features] in double out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from experiments.features import Calendar, Numbers, Words
from experiments.nodes import Nodes, NoGraph


def encode(nodes: Nodes, types: Mapping[str, int], transformer: Any) -> str:
    """A fitted ColumnTransformer; `types` are the graph inputs' tensor types by column."""
    parts = []
    for _, branch, names in transformer.transformers_:
        if branch == "drop" or not len(names):
            continue
        first, *rest = [step for _, step in branch.steps]
        match first:
            case Numbers():
                parts.append(_numbers(nodes, types, list(names), rest))
            case Words() if len(rest) == 1 and isinstance(rest[0], OneHotEncoder):
                parts.append(_words(nodes, list(names), rest[0]))
            case Calendar():
                raise NoGraph(f"ONNX takes no dates, and {names[0]!r} is one")
            case _:
                raise NoGraph(f"ONNX has no exact words of text, and {names[0]!r} is text")
    return nodes.joined(parts)


def _numbers(nodes: Nodes, types: Mapping[str, int], names: list[str], steps: Sequence[Any]) -> str:
    """Columns of one type are joined before they are cast: a node costs a microsecond a row."""
    by_type: dict[int, list[str]] = {}
    for name in names:
        by_type.setdefault(types[name], []).append(name)
    singles = [
        nodes.add("Cast", [nodes.joined(columns)], to=TensorProto.FLOAT)
        for columns in by_type.values()
    ]
    current = nodes.add("Cast", [nodes.joined(singles)], to=TensorProto.DOUBLE)
    order = [name for columns in by_type.values() for name in columns]
    if order != names:
        places = nodes.positions([order.index(name) for name in names])
        current = nodes.add("Gather", [current, places], axis=1)
    for step in steps:
        current = _step(nodes, step, current)
    return current


def _step(nodes: Nodes, step: Any, current: str) -> str:
    match step:
        case SimpleImputer():
            filled = nodes.row(step.statistics_)
            return nodes.add("Where", [nodes.add("IsNaN", [current]), filled, current])
        case StandardScaler():
            centred = nodes.add("Sub", [current, nodes.row(step.mean_)])
            return nodes.add("Div", [centred, nodes.row(step.scale_)])
    raise NoGraph(f"ONNX has no exact {type(step).__name__}")


def _words(nodes: Nodes, names: list[str], encoder: OneHotEncoder) -> str:
    """One-hot; columns whose rare values share a place come last, and are put in order after."""
    kept, rare = _categories(encoder)
    order = sorted(range(len(names)), key=lambda index: rare[index])
    plain = [index for index in order if not rare[index]]
    parts = []
    if plain:
        parts.append(_told_apart(nodes, [names[i] for i in plain], [kept[i] for i in plain]))
    parts += [_with_rest(nodes, names[i], kept[i]) for i in order if rare[i]]
    encoded = nodes.add("Cast", [nodes.joined(parts)], to=TensorProto.DOUBLE)
    if order == sorted(order):
        return encoded
    widths = [len(values) + rare[index] for index, values in enumerate(kept)]
    starts = dict(zip(order, np.cumsum([0, *(widths[index] for index in order)]), strict=False))
    places = [np.arange(widths[index]) + starts[index] for index in range(len(names))]
    return nodes.add("Gather", [encoded, nodes.positions(np.concatenate(places))], axis=1)


def _told_apart(nodes: Nodes, names: list[str], kept: list[list[str]]) -> str:
    """All columns at once, [n, categories]: a handful of nodes, however many columns."""
    vocabulary = sorted({value for values in kept for value in values})
    number = {value: index for index, value in enumerate(vocabulary)}
    numbers = _numbered(nodes, nodes.joined(names), vocabulary)
    columns = nodes.positions([index for index, values in enumerate(kept) for _ in values])
    wanted = nodes.positions([[number[value] for values in kept for value in values]])
    return nodes.add("Equal", [nodes.add("Gather", [numbers, columns], axis=1), wanted])


def _with_rest(nodes: Nodes, name: str, kept: list[str]) -> str:
    """One column, in which rare values and those that training never saw share the last place."""
    numbers = _numbered(nodes, name, kept, unknown=len(kept))
    return nodes.add("Equal", [numbers, nodes.positions([range(len(kept) + 1)])])


def _numbered(nodes: Nodes, strings: str, vocabulary: list[str], unknown: int = -1) -> str:
    return nodes.add(
        "LabelEncoder",
        [strings],
        domain="ai.onnx.ml",
        keys_strings=vocabulary,
        values_int64s=list(range(len(vocabulary))),
        default_int64=unknown,
    )


def _categories(encoder: OneHotEncoder) -> tuple[list[list[str]], list[bool]]:
    """By column, the values with a place of their own, and whether the others share one."""
    rare = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    kept = [
        [str(value) for value in values if few is None or value not in set(few)]
        for values, few in zip(encoder.categories_, rare, strict=True)
    ]
    return kept, [few is not None for few in rare]
