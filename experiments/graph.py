"""The winning pipeline as an ONNX graph, with one typed input per column.

Written for the steps that `pipelines` uses and for nothing else, in double precision and in the
order in which scikit-learn computes: general converters use single precision, and flip labels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from experiments import trees
from experiments.encoding import encode
from experiments.nodes import FRESH, Nodes, NoGraph
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
_LABELS: Mapping[str, int] = {
    "FP64": TensorProto.DOUBLE,
    "INT64": TensorProto.INT64,
    "BYTES": TensorProto.STRING,
    "BOOL": TensorProto.BOOL,
}


def compiled(pipeline: Pipeline, contract: Contract) -> onnx.ModelProto:
    """Compile; raises NoGraph with the reason where ONNX has no exact counterpart."""
    types = {column.name: _input_type(column) for column in contract.columns}
    nodes = Nodes()
    features = encode(nodes, types, pipeline["columns"])
    model = pipeline["model"]
    if contract.task == "regression":
        _amount(nodes, model, features)
    else:
        _class(nodes, model, features)
    return _whole(nodes, types, contract)


def _amount(nodes: Nodes, model: Any, features: str) -> None:
    """`prediction`, [n] in double."""
    logs = isinstance(model, TransformedTargetRegressor)
    answer = _regressor(nodes, model.regressor_ if logs else model, features)
    if logs:
        answer = nodes.add("Sub", [nodes.add("Exp", [answer]), nodes.number(1.0)])
    nodes.add("Reshape", [answer, nodes.positions([-1])], output="prediction")


def _class(nodes: Nodes, model: Any, features: str) -> None:
    """`prediction`, the class with the highest score, and `probability`, [n, classes]."""
    scores, probability = _classifier(nodes, model, features)
    best = nodes.add("ArgMax", [scores], axis=1, keepdims=0)
    strings = model.classes_.dtype.kind in "OUT"
    labels = nodes.constant(np.array(model.classes_, dtype=object if strings else None))
    nodes.add("Gather", [labels, best], output="prediction")
    nodes.add("Identity", [probability], output="probability")


def _regressor(nodes: Nodes, model: Any, features: str) -> str:
    """[n, 1] in double."""
    match model:
        case Ridge():
            return _line(nodes, features, model.coef_, model.intercept_)
        case HistGradientBoostingRegressor():
            total = _sum(nodes, trees.of_boosting(model), features)
            return nodes.add("Exp", [total]) if model.loss in {"poisson", "gamma"} else total
        case RandomForestRegressor():
            return _mean(nodes, model, features)
        case DummyRegressor():
            return _repeated(nodes, model.constant_, features)
    raise NoGraph(f"ONNX has no exact {type(model).__name__}")


def _classifier(nodes: Nodes, model: Any, features: str) -> tuple[str, str]:
    """Scores that decide the label, and probabilities: both [n, classes] in double."""
    match model:
        case LogisticRegression():
            scores = _line(nodes, features, model.coef_, model.intercept_)
            return _chances(nodes, scores, len(model.classes_))
        case HistGradientBoostingClassifier():
            scores = _sum(nodes, trees.of_boosting(model), features)
            return _chances(nodes, scores, len(model.classes_))
        case RandomForestClassifier():
            shares = _mean(nodes, model, features)
            return shares, shares
        case DummyClassifier(strategy="prior"):
            shares = _repeated(nodes, model.class_prior_, features)
            return shares, shares
    raise NoGraph(f"ONNX has no exact {type(model).__name__}")


def _line(nodes: Nodes, features: str, weights: Any, offset: Any) -> str:
    columns = nodes.constant(np.atleast_2d(weights).T.astype(np.float64))
    return nodes.add("Add", [nodes.add("MatMul", [features, columns]), nodes.row(offset)])


def _sum(nodes: Nodes, ensemble: list[trees.Tree], features: str) -> str:
    size = sum(len(tree.feature) for tree in ensemble)
    if size > MOST_NODES:
        raise NoGraph(f"its trees have {size:,} nodes, more than {MOST_NODES:,}")
    return nodes.keep(trees.node(ensemble, features, nodes.fresh()))


def _mean(nodes: Nodes, forest: Any, features: str) -> str:
    """Forests round whatever reaches them to single precision, filled nulls as well."""
    single = nodes.add("Cast", [features], to=TensorProto.FLOAT)
    rounded = nodes.add("Cast", [single], to=TensorProto.DOUBLE)
    total = _sum(nodes, trees.of_forest(forest), rounded)
    return nodes.add("Div", [total, nodes.number(len(forest.estimators_))])


def _repeated(nodes: Nodes, row: Any, features: str) -> str:
    """The same row as often as there are rows."""
    rows = nodes.add("Shape", [features], start=0, end=1)
    shape = nodes.add("Concat", [rows, nodes.positions([1])], axis=0)
    return nodes.add("Expand", [nodes.row(row), shape])


def _chances(nodes: Nodes, scores: str, classes: int) -> tuple[str, str]:
    """Logistic for two classes, whose one score is the second's; softmax for more."""
    if classes > 2:
        return scores, nodes.add("Softmax", [scores], axis=1)
    second = nodes.add("Sigmoid", [scores])
    first = nodes.add("Sub", [nodes.number(1.0), second])
    both = nodes.add("Concat", [nodes.add("Neg", [scores]), scores], axis=1)
    return both, nodes.add("Concat", [first, second], axis=1)


def _whole(nodes: Nodes, types: Mapping[str, int], contract: Contract) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in types.items()]
    outputs = [
        helper.make_tensor_value_info(
            output.name, _LABELS[output.datatype], [None, *output.shape[1:]]
        )
        for output in contract.outputs
    ]
    made = helper.make_model(
        helper.make_graph(nodes.nodes, "assay", inputs, outputs, nodes.constants),
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
    if column.name in {"prediction", "probability"} or column.name.startswith(FRESH):
        raise NoGraph(f"column {column.name!r} is named like something else in the graph")
    return _INPUTS[kind]
