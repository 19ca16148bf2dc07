"""One experiment, read from YAML into a closed and frozen type."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from experiments.errors import ExperimentError

SHIPPED = Path(__file__).parent / "specs"


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Closed):
    source: str
    read: dict[str, Any] = {}


class Roles(_Closed):
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    datetime: tuple[str, ...] = ()


class Split(_Closed):
    kind: Literal["random", "stratified", "time", "file"]
    fraction: float = Field(0.2, gt=0, lt=1)
    column: str | None = None
    source: str | None = None


class CrossValidation(_Closed):
    folds: int = Field(5, ge=2)


class Candidate(_Closed):
    family: Literal["linear", "forest", "boosting", "dummy"]
    space: dict[str, tuple[Any, ...]] = {}


class ExperimentSpec(_Closed):
    """One reproducible training run."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]+$")
    description: str = ""
    data: Source
    target: str
    log_target: bool = False
    task: Literal["regression", "binary", "multiclass"]
    drop: tuple[str, ...] = ()
    roles: Roles = Roles()
    split: Split
    metric: str
    cv: CrossValidation
    candidates: dict[str, Candidate]
    selection: Literal["best", "one-standard-error"] = "best"
    seed: int = 0
    slices: tuple[str, ...] = ()


def read(name_or_path: str) -> ExperimentSpec:
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = SHIPPED / f"{name_or_path}.yaml"
    if not path.exists():
        raise ExperimentError(f"no spec {name_or_path!r}")
    return ExperimentSpec.model_validate(yaml.safe_load(path.read_text()))
