"""What a model answers, in the form that the registry's metrics score."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd

from experiments.columns import feeds
from experiments.data import Labels, Rows
from registry.contract import Contract
from registry.metrics import Answers

Ask = Callable[[Rows], Answers]


def ask(pipeline: Any, rows: Rows, classes: Labels | None) -> Answers:
    """The pipeline's answers beside the truth; classes become their position in `classes`."""
    if classes is None:
        return Answers(rows.y, np.asarray(pipeline.predict(rows.X), dtype=np.float64))
    probability = np.zeros((len(rows), len(classes)))
    # The rows of one fold may lack a class that others have.
    probability[:, codes(pipeline.classes_, classes)] = pipeline.predict_proba(rows.X)
    return Answers(codes(rows.y, classes), codes(pipeline.predict(rows.X), classes), probability)


def of_pipeline(pipeline: Any, classes: Labels | None) -> Ask:
    """Ask scikit-learn."""
    return lambda rows: ask(pipeline, rows, classes)


def of_graph(
    session: onnxruntime.InferenceSession, contract: Contract, classes: Labels | None
) -> Ask:
    """Ask the compiled graph, which is many times faster."""

    def asked(rows: Rows) -> Answers:
        given = session.run(None, feeds(contract, rows.X))
        if classes is None:
            return Answers(rows.y, given[0])
        return Answers(codes(rows.y, classes), codes(given[0], classes), given[1])

    return asked


def codes(labels: Labels, classes: Labels) -> npt.NDArray[np.int64]:
    """Each label's position among the classes."""
    return pd.Index(classes).get_indexer(pd.Index(labels)).astype(np.int64)
