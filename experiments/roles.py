"""What each column is to the models, by hand or by its values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.errors import ExperimentError
from experiments.spec import Roles

Role = Literal["numeric", "categorical", "text", "datetime"]
WORDS_OF_TEXT = 4  # mean words a value from which a column of many values is prose, not names
FEW_VALUES = 50  # a column with at most so many values is categorical whatever they look like
MOST_DISTINCT = 0.5  # share of distinct values above which strings are identifiers, not categories


@dataclass(frozen=True)
class Chosen:
    """A column's role, or None where it is left out, and why."""

    role: Role | None
    reason: str


def choose(table: pd.DataFrame, given: Roles) -> Mapping[str, Chosen]:
    """One role a column; what the spec says wins."""
    by_hand: dict[str, Role] = {column: role for role in _ROLES for column in getattr(given, role)}
    return {
        name: Chosen(by_hand[name], "as the spec says") if name in by_hand else auto(table[name])
        for name in table.columns
    }


_ROLES: tuple[Role, ...] = ("numeric", "categorical", "text", "datetime")


def auto(column: "pd.Series[Any]") -> Chosen:
    """The role that a column's values suggest."""
    known = column.dropna()
    if known.empty:
        return Chosen(None, "left out: it has no values")
    kind = column.dtype.kind
    if kind in "iuf":
        return Chosen("numeric", "numbers")
    if kind == "b" or known.map(type).isin({bool}).all():
        return Chosen("numeric", "true or false")
    if kind == "M" or isinstance(known.iloc[0], pd.Timestamp):
        return Chosen("datetime", "dates")
    if kind in "mc" or not known.map(lambda value: isinstance(value, str)).all():
        return _mixed(known)
    return _strings(known)


def _mixed(known: "pd.Series[Any]") -> Chosen:
    """Values that are not all strings: numbers in an object column, Python dates, or a mixture."""
    types = sorted({type(value).__name__ for value in known})
    if set(types) <= {"int", "float", "Decimal"}:
        return Chosen("numeric", "numbers")
    if set(types) == {"date"}:
        return Chosen("datetime", "dates")
    raise ExperimentError(
        f"column {str(known.name)!r} holds {' and '.join(types)}; "
        "give it a role under roles, or drop it"
    )


def _strings(known: "pd.Series[Any]") -> Chosen:
    distinct = known.nunique()
    if _are_dates(known):
        return Chosen("datetime", "ISO 8601 dates")
    if distinct <= FEW_VALUES:
        return Chosen("categorical", f"{distinct} distinct strings")
    if known.map(lambda value: len(value.split())).mean() >= WORDS_OF_TEXT:
        return Chosen("text", f"{distinct} distinct strings of several words")
    if distinct > MOST_DISTINCT * len(known):
        return Chosen(
            None,
            f"left out: {distinct} distinct strings in {len(known)} rows identify, not describe",
        )
    return Chosen("categorical", f"{distinct} distinct strings")


def _are_dates(known: "pd.Series[Any]") -> bool:
    if not known.str.match(r"\d{4}-\d{2}-\d{2}([T ]|$)").all():
        return False
    return bool(pd.to_datetime(known, format="ISO8601", errors="coerce", utc=True).notna().all())


def cast(table: pd.DataFrame, roles: Mapping[str, Chosen]) -> pd.DataFrame:
    """Each used column in the one type that its role has: see `contract` for what clients send."""
    casts = {"numeric": _numbers, "categorical": _names, "text": _names, "datetime": _dates}
    return pd.DataFrame(
        {
            name: casts[chosen.role](table[name], name)
            for name, chosen in roles.items()
            if chosen.role is not None
        }
    )


def _numbers(column: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """bool (boolean with nulls), int64, or float64 where nulls or fractions are."""
    if column.dropna().empty:
        raise ExperimentError(f"roles.numeric: column {name!r} has no values; drop it")
    if column.dtype.kind == "b" or column.dropna().map(type).isin({bool}).all():
        return column.astype("boolean" if column.isna().any() else "bool")
    try:
        numbers = pd.to_numeric(column)
    except (ValueError, TypeError) as error:
        bad = next(v for v in column.dropna() if pd.isna(pd.to_numeric(v, errors="coerce")))
        raise ExperimentError(
            f"roles.numeric: column {name!r} holds {bad!r}, which is no number"
        ) from error
    whole = numbers.dtype.kind in "iu" and not numbers.isna().any()
    return numbers.astype("int64" if whole else "float64")


def _names(column: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """Strings; whole numbers lose the ".0" that nulls gave them."""
    if column.dropna().empty:
        raise ExperimentError(f"column {name!r} has no values; drop it")
    if column.dtype.kind == "f" and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return column.astype("str")


def _dates(column: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """datetime64[us] in UTC."""
    known = column.dropna()
    iso = None if known.dtype.kind == "M" else "ISO8601"
    dates = pd.to_datetime(known, format=iso, errors="coerce", utc=True)
    if known.empty or dates.isna().any():
        bad = "no values" if known.empty else repr(known[dates.isna()].iloc[0])
        raise ExperimentError(
            f"roles.datetime: column {name!r} holds {bad}; ISO 8601 such as 2026-11-21 is needed"
        )
    return dates.dt.tz_localize(None).astype("datetime64[us]").reindex(column.index)


def moments(column: "pd.Series[Any]", name: str) -> npt.NDArray[np.int64]:
    """A time column as numbers that sort like it; numbers stay as they are."""
    if column.isna().any():
        raise ExperimentError(f"split.column: {name!r} is missing in {column.isna().sum()} rows")
    if column.dtype.kind in "iuf":
        return column.to_numpy()
    return _dates(column, name).to_numpy().astype(np.int64)


def named(roles: Mapping[str, Chosen], role: Role) -> tuple[str, ...]:
    """The columns of one role, in the table's order."""
    return tuple(name for name, chosen in roles.items() if chosen.role == role)


def explained(roles: Mapping[str, Chosen]) -> Iterable[str]:
    """One line a column, for logs and the run's artifact."""
    return (f"{name}: {c.role or '-'} ({c.reason})" for name, c in roles.items())
