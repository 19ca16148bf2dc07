"""The shape of an experiment spec: closed, frozen types."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from registry.contract import Task

Family = Literal["linear", "forest", "boosting", "dummy"]


def _value(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 as a string."""
    if isinstance(value, list | dict):
        raise ValueError("one number, string, true, false or null is needed")  # noqa: TRY004 - pydantic's
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _values(given: Any) -> Any:
    """One value is a list of one."""
    return given if isinstance(given, list | tuple | dict | BaseModel) else (given,)


def _kind(given: Any) -> str:
    return "range" if isinstance(given, dict | BaseModel) else "list"


Choice = Annotated[bool | int | float | str | None, BeforeValidator(_value)]
Columns = tuple[str, ...]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Closed):
    """A CSV or Parquet path or URI that pandas reads, or `module:function` that returns a table."""

    source: str = Field(min_length=1)
    read: dict[str, Any] = {}
    """Options for pandas' read_csv or read_parquet."""


class Roles(_Closed):
    """Columns whose role is decided by hand; the others are decided by their values."""

    numeric: Columns = ()
    categorical: Columns = ()
    text: Columns = ()
    datetime: Columns = ()


class RandomSplit(_Closed):
    """Hold out a share of the rows, drawn at random."""

    kind: Literal["random"]
    fraction: float = Field(default=0.2, gt=0, lt=1)


class StratifiedSplit(_Closed):
    """Hold out a share of the rows of each class."""

    kind: Literal["stratified"]
    fraction: float = Field(default=0.2, gt=0, lt=1)


class TimeSplit(_Closed):
    """Hold out the latest rows; cross-validation goes forward in time as well."""

    kind: Literal["time"]
    column: str
    fraction: float = Field(default=0.2, gt=0, lt=1)


class FileSplit(Source):
    """A test table of its own."""

    kind: Literal["file"]


Split = Annotated[
    RandomSplit | StratifiedSplit | TimeSplit | FileSplit, Field(discriminator="kind")
]


class CrossValidation(_Closed):
    """How candidates are compared on the training rows."""

    folds: int = Field(default=5, ge=2, le=20)


class Range(_Closed):
    """Numbers between two ends to draw from."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    integer: bool = False


Choices = Annotated[
    Annotated[tuple[Choice, ...], Tag("list")] | Annotated[Range, Tag("range")],
    Discriminator(_kind),
    BeforeValidator(_values),
]


class Candidate(_Closed):
    """A family of models and the parameters to search."""

    family: Family
    space: dict[str, Choices] = {}
    """By parameter: a list of values to try, or a range to draw from."""
    trials: int | None = Field(default=None, ge=1, le=1000)
    """How many combinations to draw; all of them when left out, which ranges do not allow."""


USUAL = {
    "linear": Candidate(family="linear"),
    "forest": Candidate(family="forest"),
    "boosting": Candidate(family="boosting"),
    "baseline": Candidate(family="dummy"),
}


class ExperimentSpec(_Closed):
    """One reproducible training run."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*[a-z0-9]$", max_length=63)
    """Also the name of the MLflow experiment and of the registered model."""
    description: str = ""
    data: Source
    target: str
    task: Task
    log_target: bool = False
    """Learn log(1 + target): for prices, counts and other amounts that vary by factors."""
    drop: Columns = ()
    roles: Roles = Roles()
    split: Split
    """When left out, a fifth of the rows; of each class, where there are classes."""
    metric: str
    cv: CrossValidation = CrossValidation()
    candidates: dict[str, Candidate] = Field(default=USUAL, min_length=1)
    """When left out, one of each family with its usual parameters."""
    selection: Literal["best", "one-standard-error"] = "best"
    seed: int = Field(default=0, ge=0, lt=2**32)
    slices: Columns = ()
    """Columns whose groups are looked at on their own before a version is promoted."""

    @model_validator(mode="before")
    @classmethod
    def _usual_split(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "split" in given:
            return given
        kind = "random" if given.get("task") == "regression" else "stratified"
        return {**given, "split": {"kind": kind}}
