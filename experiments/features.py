"""The few small transformers that scikit-learn lacks.

This file travels inside every model artifact, so it may import numpy, pandas and scikit-learn only.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin


class Numbers(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Numbers and booleans as float32, nulls as NaN.

    The cast comes before fitting, so that the pipeline and its compiled graph see the same numbers.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Remember the columns."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Cast each column."""
        columns = [X[name].to_numpy(dtype=np.float32, na_value=np.nan) for name in X.columns]
        return np.column_stack(columns)


class Words(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Strings as an object array, nulls as the empty string."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Remember the columns."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.object_]]:
        """Replace nulls in each column."""
        columns = [X[name].to_numpy(dtype=object, na_value="") for name in X.columns]
        return np.column_stack(columns)
