"""The fast engine: the version's compiled graph on ONNX Runtime, without pandas or scikit-learn."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from registry.contract import Contract
from serving.engine import Columns, Outputs


class OnnxEngine:
    """Runs `assay/model.onnx`: one input a column, shape [n, 1]."""

    name = "onnx"

    def __init__(self, graph: Path, contract: Contract, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        # Left alone ONNX Runtime starts a thread a core of the machine, whatever the
        # container may use.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin between requests burn the CPU quota that the next request needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Freed arena blocks stay with the process; without it the memory of one large
        # batch goes back.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in contract.outputs]
        self._texts = [c.name for c in contract.columns if c.type == "string" and c.nullable]
        self._booleans = [c.name for c in contract.columns if c.type == "boolean" and c.nullable]

    def predict(self, columns: Columns) -> Outputs:
        """Answer every row."""
        feeds = {name: column.reshape(-1, 1) for name, column in columns.items()}
        for name in self._texts:  # ONNX strings have no null; the pipeline reads "" as missing too
            feeds[name] = _object_column([value or "" for value in columns[name].tolist()])
        for name in self._booleans:  # nor have booleans: a nullable one is a float with NaN
            feeds[name] = columns[name].astype(np.float32).reshape(-1, 1)
        answers = self._session.run(self._outputs, feeds)
        return dict(zip(self._outputs, answers, strict=True))


def _object_column(values: list[str]) -> NDArray[np.object_]:
    column = np.empty((len(values), 1), dtype=object)
    column[:, 0] = values
    return column
