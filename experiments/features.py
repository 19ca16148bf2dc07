"""The few small transformers that scikit-learn lacks.

This file travels inside every model artifact, so it may import numpy, pandas and scikit-learn only.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

CALENDAR = ("year", "month", "day", "dayofweek", "hour")


class _Columns(TransformerMixin, BaseEstimator):
    """Remembers the columns it was fitted on; there is nothing else to learn."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Remember the columns."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        return self


class Numbers(OneToOneFeatureMixin, _Columns):
    """Numbers and booleans rounded to single precision, nulls as NaN.

    Forests compute in single precision whatever they are given. Rounding here, before fitting, lets
    every family, the compiled graph and the limit that the contract states see the same numbers.
    """

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Round each column."""
        columns = [X[name].to_numpy(dtype=np.float32, na_value=np.nan) for name in X.columns]
        return np.column_stack(columns).astype(np.float64)


class Words(OneToOneFeatureMixin, _Columns):
    """Strings, nulls as the empty string."""

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Replace nulls in each column."""
        columns = [X[name].to_numpy(dtype=object, na_value="") for name in X.columns]
        return np.column_stack(columns)


class Sentences(Words):
    """One column of text as a flat array, which is what scikit-learn's vectorizers take."""

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Replace nulls and flatten."""
        return super().transform(X).ravel()


class Calendar(_Columns):
    """Dates as year, month, day, weekday (Monday is 0), hour and days since 1970; nulls as NaN."""

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Take each date apart."""
        parts = []
        for name in X.columns:
            dates = pd.to_datetime(X[name])
            parts += [getattr(dates.dt, part).to_numpy(np.float64) for part in CALENDAR]
            parts.append(((dates - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(np.float64))
        return np.column_stack(parts).astype(np.float32).astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:  # noqa: ARG002 - scikit-learn's signature
        """A name for each part of each date."""
        names = [f"{c}_{part}" for c in self.feature_names_in_ for part in (*CALENDAR, "days")]
        return np.asarray(names, dtype=object)
