"""What computes predictions: columns in, named arrays out."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[np.generic]]
"""One 1-D array a column, all of one length; `serving.columns` says dtypes and nulls."""
Outputs = dict[str, NDArray[np.generic]]
"""One array an output, shaped as the contract says; the first dimension is rows."""


class Engine(Protocol):
    """A loaded model."""

    name: str

    def predict(self, columns: Columns) -> Outputs:
        """Answer every row of columns that the contract has accepted."""
        ...
