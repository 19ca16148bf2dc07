"""ONNX nodes as they come; every method returns the name of its result."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

FRESH = "assay."  # begins every name that is neither a column nor an output


class NoGraph(Exception):  # noqa: N818 - an answer, not an error
    """Why a pipeline has no graph; the pyfunc engine serves it."""


class Nodes:
    """A graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """A node with one output."""
        return self.keep(helper.make_node(operator, inputs, [output or self.fresh()], **attributes))

    def keep(self, node: onnx.NodeProto) -> str:
        """A node made elsewhere."""
        self.nodes.append(node)
        return str(node.output[0])

    def fresh(self) -> str:
        """A name that nothing has yet."""
        return f"{FRESH}{len(self.nodes)}"

    def constant(self, values: npt.NDArray[Any]) -> str:
        """An array."""
        name = f"{FRESH}constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def number(self, value: float) -> str:
        """One number in double precision."""
        return self.constant(np.array(value, dtype=np.float64))

    def row(self, values: Any) -> str:
        """[1, n] in double precision."""
        return self.constant(np.asarray(values, dtype=np.float64).reshape(1, -1))

    def positions(self, values: Any) -> str:
        """Whole numbers, as shapes and indices are."""
        return self.constant(np.asarray(values, dtype=np.int64))

    def joined(self, parts: Sequence[str]) -> str:
        """Columns side by side."""
        return parts[0] if len(parts) == 1 else self.add("Concat", parts, axis=1)
