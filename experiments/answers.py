"""What a fitted pipeline answers, in the form that the registry's metrics score."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.data import Labels, Rows
from registry.metrics import Answers


def ask(pipeline: Any, rows: Rows, classes: Labels | None) -> Answers:
    """The pipeline's answers beside the truth; classes become their position in `classes`."""
    if classes is None:
        return Answers(rows.y, np.asarray(pipeline.predict(rows.X), dtype=np.float64))
    probability = np.zeros((len(rows), len(classes)))
    # The rows of one fold may lack a class that others have.
    probability[:, codes(pipeline.classes_, classes)] = pipeline.predict_proba(rows.X)
    return Answers(codes(rows.y, classes), codes(pipeline.predict(rows.X), classes), probability)


def codes(labels: Labels, classes: Labels) -> npt.NDArray[np.int64]:
    """Each label's position among the classes."""
    return pd.Index(classes).get_indexer(pd.Index(labels)).astype(np.int64)
