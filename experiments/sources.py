"""Reads a table from where a spec says it is."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.errors import ExperimentError
from experiments.spec import Source
from experiments.specfile import is_function

# Options of read_csv that decide where the header is and how it is cut into names.
HEADER_OPTIONS = {"sep", "delimiter", "encoding", "compression", "skiprows", "comment", "quotechar"}


def read(source: Source, where: str) -> pd.DataFrame:
    """The table, with unique column names; `where` is the source's place in the spec."""
    try:
        table = _call(source) if is_function(source.source) else _file(source)
    except ExperimentError:
        raise
    except Exception as error:  # any reader's or user function's problem, in one line
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise ExperimentError(f"{where}: cannot read {source.source}: {first[0]}") from error
    table.columns = [str(name) for name in table.columns]
    _unique(list(table.columns), source.source, where)
    return table.reset_index(drop=True)


def _call(source: Source) -> pd.DataFrame:
    name, _, function = source.source.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    table = getattr(importlib.import_module(name), function)(**source.read)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"it returned {type(table).__name__}, a pandas DataFrame is needed")
    return table


def _file(source: Source) -> pd.DataFrame:
    path = source.source
    if "://" not in path and not Path(path).is_file():
        raise FileNotFoundError("there is no such file")
    if path.rsplit("?", 1)[0].endswith((".parquet", ".pq")):
        return pd.read_parquet(path, **source.read)
    if not {"names", "header"} & source.read.keys():
        chosen: dict[str, Any] = {k: v for k, v in source.read.items() if k in HEADER_OPTIONS}
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, **chosen)
        _unique(header.iloc[0].dropna().tolist(), path, "")  # read_csv would rename the second one
    options = {"low_memory": False, **source.read}
    table: pd.DataFrame = pd.read_csv(path, **options)
    return table


def _unique(names: list[str], source: str, where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        at = f"{where}: " if where else ""
        raise ExperimentError(f"{at}{source} has column {twice[0]!r} more than once; rename one")
