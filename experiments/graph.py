"""The winning pipeline as an ONNX graph, with one typed input per column.

Written for the steps that `pipelines` uses and for nothing else, in double precision and in the
order in which scikit-learn computes: general converters use single precision, and flip labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from experiments import trees
from experiments.features import Calendar, Numbers, Words
from registry.contract import Column, Contract

OPSETS = {"": 21, "ai.onnx.ml": 5}  # 5 brought the tree ensemble in double precision
IR_VERSION = 10  # the first with those opsets
MOST_NODES = 2_000_000  # of trees; beyond this a graph takes seconds to load and gigabytes to hold

_INPUTS: Mapping[str, int] = {
    "boolean": TensorProto.BOOL,
    "nullable boolean": TensorProto.FLOAT,  # NaN for null
    "integer": TensorProto.INT32,
    "long": TensorProto.INT64,
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "string": TensorProto.STRING,
}


class NoGraph(Exception):  # noqa: N818 - an answer, not an error
    """Why a pipeline has no graph; the pyfunc engine serves it."""


def compiled(pipeline: Pipeline, contract: Contract) -> onnx.ModelProto:
    """Compile; raises NoGraph with the reason where ONNX has no exact counterpart."""
    made = _Graph(contract)
    features = made.columns(pipeline["columns"])
    model = pipeline["model"]
    if isinstance(model, TransformedTargetRegressor):
        learned = made.model(model.regressor_, features)
        grown = made.add("Exp", [learned])
        made.add("Sub", [grown, made.number(1.0)], output="prediction")
    elif contract.task == "regression":
        made.add("Identity", [made.model(model, features)], output="prediction")
    else:
        scores, probability = made.classifier(model, features)
        made.answer(scores, probability, model.classes_)
    return made.finish()


class _Graph:
    """Nodes as they come; every method returns the name of its result."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.types = {column.name: _input_type(column) for column in contract.columns}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        output = output or f"assay.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, values: npt.NDArray[Any]) -> str:
        name = f"assay.constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, dtype=np.float64))

    # --- columns ---

    def columns(self, transformer: Any) -> str:
        """[n, features] in double."""
        parts = []
        for _, branch, names in transformer.transformers_:
            if branch == "drop" or not len(names):
                continue
            first, *rest = [step for _, step in branch.steps]
            if isinstance(first, Numbers):
                parts.append(self.numbers(list(names), rest))
            elif isinstance(first, Words):
                parts.append(self.words(list(names), rest))
            elif isinstance(first, Calendar):
                raise NoGraph(f"ONNX takes no dates, and {names[0]!r} is one")
            else:
                raise NoGraph(f"ONNX has no exact words of text, and {names[0]!r} is text")
        return self.joined(parts)

    def joined(self, parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else self.add("Concat", parts, axis=1)

    def numbers(self, names: list[str], steps: Sequence[Any]) -> str:
        """Columns of one type are joined before they are cast: a node costs a microsecond a row."""
        by_type: dict[int, list[str]] = {}
        for name in names:
            by_type.setdefault(self.types[name], []).append(name)
        singles = [
            self.add("Cast", [self.joined(columns)], to=TensorProto.FLOAT)
            for columns in by_type.values()
        ]
        current = self.add("Cast", [self.joined(singles)], to=TensorProto.DOUBLE)
        order = [name for columns in by_type.values() for name in columns]
        if order != names:
            positions = np.array([order.index(name) for name in names], dtype=np.int64)
            current = self.add("Gather", [current, self.constant(positions)], axis=1)
        for step in steps:
            current = self.step(step, current)
        return current

    def step(self, step: Any, current: str) -> str:
        if isinstance(step, SimpleImputer):
            filled = self.constant(step.statistics_.astype(np.float64)[None, :])
            return self.add("Where", [self.add("IsNaN", [current]), filled, current])
        if isinstance(step, StandardScaler):
            centred = self.add("Sub", [current, self.constant(step.mean_[None, :])])
            return self.add("Div", [centred, self.constant(step.scale_[None, :])])
        raise NoGraph(f"ONNX has no exact {type(step).__name__}")

    def words(self, names: list[str], steps: Sequence[Any]) -> str:
        (encoder,) = steps
        if not isinstance(encoder, OneHotEncoder):
            raise NoGraph(f"ONNX has no exact {type(encoder).__name__}")
        kept, rare = _categories(encoder)
        plain = [index for index in range(len(names)) if not rare[index]]
        parts = [self.told_apart([names[i] for i in plain], [kept[i] for i in plain])] * bool(plain)
        order = list(plain)
        for index in sorted(set(range(len(names))) - set(plain)):
            parts.append(self.with_rest(names[index], kept[index]))
            order.append(index)
        encoded = self.add("Cast", [self.joined(parts)], to=TensorProto.DOUBLE)
        if order == sorted(order):
            return encoded
        widths = [len(values) + rare[index] for index, values in enumerate(kept)]
        starts = np.cumsum([0, *(widths[index] for index in order)])
        places = [
            np.arange(widths[index]) + starts[order.index(index)] for index in range(len(names))
        ]
        return self.add("Gather", [encoded, self.constant(np.concatenate(places))], axis=1)

    def told_apart(self, names: list[str], kept: list[list[str]]) -> str:
        """One-hot for all columns at once, [n, categories]: five nodes, however many columns."""
        vocabulary = sorted({value for values in kept for value in values})
        number = {value: index for index, value in enumerate(vocabulary)}
        numbers = self.numbered(self.joined(names), vocabulary)
        column = [index for index, values in enumerate(kept) for _ in values]
        wanted = [number[value] for values in kept for value in values]
        spread = self.add(
            "Gather", [numbers, self.constant(np.array(column, dtype=np.int64))], axis=1
        )
        return self.add("Equal", [spread, self.constant(np.array([wanted], dtype=np.int64))])

    def with_rest(self, name: str, kept: list[str]) -> str:
        """One-hot where rare values and those that training never saw share the last place."""
        numbers = self.numbered(name, kept, unknown=len(kept))
        wanted = np.arange(len(kept) + 1, dtype=np.int64)[None, :]
        return self.add("Equal", [numbers, self.constant(wanted)])

    def numbered(self, strings: str, vocabulary: list[str], unknown: int = -1) -> str:
        return self.add(
            "LabelEncoder",
            [strings],
            domain="ai.onnx.ml",
            keys_strings=vocabulary,
            values_int64s=list(range(len(vocabulary))),
            default_int64=unknown,
        )

    # --- models ---

    def model(self, model: Any, features: str) -> str:
        """A regressor's answer, [n] in double."""
        match model:
            case Ridge():
                return self.flat(self.line(features, model.coef_[None, :], [model.intercept_]))
            case HistGradientBoostingRegressor():
                total = self.trees(trees.of_boosting(model), features)
                logs = model.loss in {"poisson", "gamma"}
                return self.flat(self.add("Exp", [total]) if logs else total)
            case RandomForestRegressor():
                total = self.trees(trees.of_forest(model), self.single(features))
                return self.flat(self.add("Div", [total, self.number(len(model.estimators_))]))
            case DummyRegressor():
                return self.flat(self.repeated(features, model.constant_))
        raise NoGraph(f"ONNX has no exact {type(model).__name__}")

    def classifier(self, model: Any, features: str) -> tuple[str, str]:
        """Scores that decide the label, and probabilities: both [n, classes] in double."""
        match model:
            case LogisticRegression():
                scores = self.line(features, model.coef_, model.intercept_)
                return self.chances(scores, len(model.classes_))
            case HistGradientBoostingClassifier():
                scores = self.trees(trees.of_boosting(model), features)
                return self.chances(scores, len(model.classes_))
            case RandomForestClassifier():
                votes = self.trees(trees.of_forest(model), self.single(features))
                shares = self.add("Div", [votes, self.number(len(model.estimators_))])
                return shares, shares
            case DummyClassifier(strategy="prior"):
                shares = self.repeated(features, model.class_prior_[None, :])
                return shares, shares
        raise NoGraph(f"ONNX has no exact {type(model).__name__}")

    def line(self, features: str, weights: Any, offsets: Any) -> str:
        product = self.add("MatMul", [features, self.constant(weights.T.astype(np.float64))])
        return self.add("Add", [product, self.constant(np.asarray(offsets, dtype=np.float64))])

    def trees(self, ensemble: list[trees.Tree], features: str) -> str:
        size = sum(len(tree.feature) for tree in ensemble)
        if size > MOST_NODES:
            raise NoGraph(f"its trees have {size:,} nodes, more than {MOST_NODES:,}")
        output = f"assay.{len(self.nodes)}"
        targets = 1 + max(tree.target for tree in ensemble)
        self.nodes.append(trees.node(ensemble, features, output, targets))
        return output

    def single(self, features: str) -> str:
        """Forests round whatever reaches them to single precision, filled nulls as well."""
        return self.add(
            "Cast", [self.add("Cast", [features], to=TensorProto.FLOAT)], to=TensorProto.DOUBLE
        )

    def flat(self, column: str) -> str:
        return self.add("Reshape", [column, self.constant(np.array([-1], dtype=np.int64))])

    def repeated(self, features: str, row: npt.NDArray[np.float64]) -> str:
        """The same row as often as there are rows."""
        rows = self.add("Shape", [features], start=0, end=1)
        shape = self.add("Concat", [rows, self.constant(np.array([1], dtype=np.int64))], axis=0)
        return self.add("Expand", [self.constant(row.astype(np.float64)), shape])

    def chances(self, scores: str, classes: int) -> tuple[str, str]:
        """Logistic for two classes, softmax for more."""
        if classes > 2:
            return scores, self.add("Softmax", [scores], axis=1)
        second = self.add("Sigmoid", [scores])
        first = self.add("Sub", [self.number(1.0), second])
        both = self.add("Concat", [self.add("Neg", [scores]), scores], axis=1)
        return both, self.add("Concat", [first, second], axis=1)

    # --- the whole ---

    def answer(self, scores: str, probability: str, classes: npt.NDArray[Any]) -> None:
        best = self.add("ArgMax", [scores], axis=1, keepdims=0)
        names = np.array(classes, dtype=object if classes.dtype.kind in "OUT" else classes.dtype)
        self.add("Gather", [self.constant(names), best], output="prediction")
        self.add("Identity", [probability], output="probability")

    def finish(self) -> onnx.ModelProto:
        label = {"FP64": TensorProto.DOUBLE, "INT64": TensorProto.INT64}
        label |= {"BYTES": TensorProto.STRING, "BOOL": TensorProto.BOOL}
        outputs = [
            helper.make_tensor_value_info(
                output.name,
                TensorProto.DOUBLE if output.name == "probability" else label[output.datatype],
                [None, *output.shape[1:]],
            )
            for output in self.contract.outputs
        ]
        inputs = [
            helper.make_tensor_value_info(name, kind, [None, 1])
            for name, kind in self.types.items()
        ]
        made = helper.make_model(
            helper.make_graph(self.nodes, "assay", inputs, outputs, self.constants),
            opset_imports=[helper.make_opsetid(*opset) for opset in OPSETS.items()],
            ir_version=IR_VERSION,
            producer_name="assay",
        )
        onnx.checker.check_model(made)
        return made


def _input_type(column: Column) -> int:
    kind = "nullable boolean" if column.type == "boolean" and column.nullable else column.type
    if kind not in _INPUTS:
        raise NoGraph(f"ONNX takes no {kind}, and column {column.name!r} is one")
    return _INPUTS[kind]


def _categories(encoder: OneHotEncoder) -> tuple[list[list[str]], list[bool]]:
    """By column, the values with a place of their own, and whether the others share one."""
    rare = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    kept = [
        [str(value) for value in values if few is None or value not in set(few)]
        for values, few in zip(encoder.categories_, rare, strict=True)
    ]
    return kept, [few is not None for few in rare]
