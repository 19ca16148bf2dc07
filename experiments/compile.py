"""The winning pipeline as an ONNX graph: one typed input per column."""

import warnings
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx, update_registered_converter
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int32TensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from experiments.features import Numbers, Words
from registry.contract import Column, Contract

OPSETS = {"": 18, "ai.onnx.ml": 3}


class NoGraph(Exception):  # noqa: N818 - an answer, not an error
    """Why a pipeline has no exact graph."""


def graph(pipeline: Pipeline, contract: Contract) -> onnx.ModelProto:
    """Compile; raises NoGraph with the reason when something has no exact counterpart in ONNX."""
    _register()
    model = pipeline[-1]
    logs = isinstance(model, TransformedTargetRegressor)
    inner = Pipeline([*pipeline.steps[:-1], ("model", model.regressor_)]) if logs else pipeline
    options = {id(inner): {"zipmap": False}} if contract.task != "regression" else None
    types = [(column.name, _input(column)) for column in contract.columns]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = to_onnx(inner, initial_types=types, options=options, target_opset=OPSETS)
    except Exception as error:  # noqa: BLE001 - whatever it is, the pyfunc engine serves
        raise NoGraph(f"skl2onnx: {str(error).strip().splitlines()[0]}") from error
    _name_inputs(made, contract)
    _name_outputs(made, contract, logs)
    onnx.checker.check_model(made)
    return made


def _input(column: Column) -> Any:
    if column.type == "boolean":
        return FloatTensorType([None, 1]) if column.nullable else BooleanTensorType([None, 1])
    types = {
        "integer": Int32TensorType,
        "long": Int64TensorType,
        "float": FloatTensorType,
        "double": DoubleTensorType,
        "string": StringTensorType,
    }
    if column.type not in types:
        raise NoGraph(f"column {column.name!r} is a {column.type}, which the graph cannot take")
    return types[column.type]([None, 1])


def _name_inputs(made: onnx.ModelProto, contract: Contract) -> None:
    """Undo skl2onnx's renaming of columns that are no identifiers, such as 1stFlrSF."""
    true = {
        given.name: column.name
        for given, column in zip(made.graph.input, contract.columns, strict=True)
    }
    for given in made.graph.input:
        given.name = true[given.name]
    for node in made.graph.node:
        node.input[:] = [true.get(name, name) for name in node.input]


def _name_outputs(made: onnx.ModelProto, contract: Contract, logs: bool) -> None:
    nodes = made.graph
    names = [output.name for output in nodes.output]
    shape: list[Any] = [None]
    if contract.task == "regression":
        nodes.node.append(
            helper.make_node("Cast", [names[0]], ["answer_double"], to=TensorProto.DOUBLE)
        )
        last = "answer_double"
        if logs:
            one = numpy_helper.from_array(np.array(1.0), "one_double")
            nodes.initializer.append(one)
            nodes.node.append(helper.make_node("Exp", [last], ["answer_exp"]))
            nodes.node.append(helper.make_node("Sub", ["answer_exp", "one_double"], ["answer_raw"]))
            last = "answer_raw"
        flat = numpy_helper.from_array(np.array([-1], dtype=np.int64), "flat")
        nodes.initializer.append(flat)
        nodes.node.append(helper.make_node("Reshape", [last, "flat"], ["prediction"]))
        del nodes.output[:]
        nodes.output.append(helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, shape))
        return
    kinds = [output.type for output in nodes.output]
    del nodes.output[:]
    for old, new, kind in zip(names, ("prediction", "probability"), kinds, strict=True):
        nodes.node.append(helper.make_node("Identity", [old], [new]))
        nodes.output.append(onnx.ValueInfoProto(name=new, type=kind))


def _register() -> None:
    update_registered_converter(Numbers, "AssayNumbers", _numbers_shape, _numbers)
    update_registered_converter(Words, "AssayWords", _words_shape, _words)


def _numbers_shape(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, operator.raw_operator.n_features_in_])


def _numbers(scope: Any, operator: Any, container: Any) -> None:
    casts = []
    for column in operator.inputs:
        cast = scope.get_unique_variable_name("cast")
        container.add_node("Cast", column.full_name, cast, to=TensorProto.FLOAT)
        casts.append(cast)
    container.add_node("Concat", casts, operator.outputs[0].full_name, axis=1, op_version=13)


def _words_shape(operator: Any) -> None:
    operator.outputs[0].type = StringTensorType([None, operator.raw_operator.n_features_in_])


def _words(scope: Any, operator: Any, container: Any) -> None:
    columns = [column.full_name for column in operator.inputs]
    container.add_node("Concat", columns, operator.outputs[0].full_name, axis=1, op_version=13)
