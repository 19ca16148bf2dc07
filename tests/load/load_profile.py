"""A load profile: how much load, of what kind, and what must hold meanwhile."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from serving.load import WAYS, Recipe
from tests.load.errors import LoadTestError

SHIPPED = Path(__file__).parent / "profiles"
MOST_SECONDS = 7200  # a mistake in a profile should not load a server all night
# Loads that one Locust process may be asked for; how much it can really do, `ceiling` measures.
MOST_RATE = 20_000
MOST_USERS = 2_000
SHARES_ADD_UP = 1e-6

Seconds = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
Level = Annotated[float, Field(gt=0, le=MOST_RATE)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of constant load."""

    level: float
    """Requests a second, or users."""
    seconds: float
    overload: bool = False
    """The load is meant to be too much: nothing may fail, but latency and 503s are not judged."""


class Constant(_Closed):
    """The same load all the time."""

    kind: Literal["constant"]
    level: Level
    seconds: Seconds

    def stages(self) -> tuple[Stage, ...]:
        """One stage."""
        return (Stage(self.level, self.seconds),)


class Steps(_Closed):
    """More and more load until a step misses the objective twice: finds the capacity."""

    kind: Literal["steps"]
    first: Level
    last: Level
    factor: float = Field(gt=1, le=4)
    """From one step to the next; the capacity is known as exactly as this."""
    seconds: Seconds
    """Of each step."""

    @model_validator(mode="after")
    def _upwards(self) -> "Steps":
        if self.last < self.first:
            raise ValueError("last is below first")
        return self

    def stages(self) -> tuple[Stage, ...]:
        """A stage a step."""
        levels = itertools.accumulate(itertools.repeat(self.factor), lambda x, y: x * y)
        steps = [self.first, *(self.first * level for level in itertools.islice(levels, 200))]
        return tuple(
            Stage(round(level, 1 if level < 50 else 0), self.seconds)
            for level in steps
            if level <= self.last * 1.001
        )


class Spike(_Closed):
    """A load, many times as much for a moment, and the first load again."""

    kind: Literal["spike"]
    base: Level
    peak: Level
    base_seconds: Seconds
    peak_seconds: Seconds

    def stages(self) -> tuple[Stage, ...]:
        """Before, peak, after."""
        base = Stage(self.base, self.base_seconds)
        return base, Stage(self.peak, self.peak_seconds, overload=True), base


class Soak(_Closed):
    """The same load for long, judged minute for minute."""

    kind: Literal["soak"]
    level: Level
    minutes: int = Field(ge=2, le=MOST_SECONDS // 60)

    def stages(self) -> tuple[Stage, ...]:
        """A stage a minute."""
        return (Stage(self.level, 60.0),) * self.minutes


class Mix(_Closed):
    """What requests are like; shares add up to 1."""

    ways: dict[str, Share]
    rows: dict[int, Share]
    """Rows in a request."""
    altered: Share
    """The share of rows that are not golden ones: mixed, with nulls and unseen categories."""
    invalid: Share
    """The share of requests that must be refused."""

    @field_validator("ways", "rows")
    @classmethod
    def _whole(cls, shares: Mapping[Any, float]) -> Mapping[Any, float]:
        if abs(sum(shares.values()) - 1) > SHARES_ADD_UP:
            raise ValueError("the shares do not add up to 1")
        return shares

    @field_validator("ways")
    @classmethod
    def _known(cls, ways: Mapping[str, float]) -> Mapping[str, float]:
        unknown = sorted(set(ways) - set(WAYS))
        if unknown:
            raise ValueError(f"no way is called {unknown[0]!r}; there are {', '.join(WAYS)}")
        return ways

    @field_validator("rows")
    @classmethod
    def _sizes(cls, rows: Mapping[int, float]) -> Mapping[int, float]:
        if not all(1 <= size <= 10_000 for size in rows):
            raise ValueError("a request has 1 to 10000 rows")
        return rows

    def recipe(self) -> Recipe:
        """The same for the client."""
        return Recipe(self.rows, self.altered, self.invalid)


class Objective(_Closed):
    """What must hold in every stage. Latency is that of valid requests that were answered."""

    p50_ms: float = Field(gt=0)
    p95_ms: float = Field(gt=0)
    p99_ms: float = Field(gt=0)
    error_share: Share = 0
    """Wrong answers, failures, and refusals or acceptances that should not have been."""
    overloaded_share: Share = 0
    """Answers 503."""
    least_rate: float | None = Field(default=None, gt=0)
    """Requests a second that were dealt with as they should; of steps, by the best one."""
    memory_mb: float | None = Field(default=None, gt=0)
    """Of the replica, at its peak."""
    memory_growth_mb: float | None = Field(default=None, ge=0)
    """From the second stage to the last; of soak tests."""


class Profile(_Closed):
    """One load test."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    unit: Literal["rate", "users"]
    """What levels count. rate: requests a second that arrive at random moments, however slow the
    answers are. users: who ask again as soon as they are answered."""
    users: int | None = Field(default=None, ge=1, le=MOST_USERS)
    """For a rate: the most requests in flight; beyond it arrivals wait, and their wait counts."""
    settle_seconds: float = Field(default=2, ge=0)
    """At the start of each stage, without effect on latency."""
    shape: Annotated[Constant | Steps | Spike | Soak, Field(discriminator="kind")]
    mix: Mix
    objective: Objective

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        if self.unit == "rate" and self.users is None:
            raise ValueError("a rate needs `users`, the most requests in flight")
        if self.unit == "users" and self.users is not None:
            raise ValueError("`users` is for rates; here the levels of the shape count users")
        if self.unit == "users" and any(s.level > MOST_USERS for s in self.stages):
            raise ValueError(f"at most {MOST_USERS} users")
        if any(stage.seconds <= self.settle_seconds for stage in self.stages):
            raise ValueError("settle_seconds leaves nothing of a stage")
        if self.seconds > MOST_SECONDS:
            raise ValueError(f"takes {self.seconds:.0f} s, {MOST_SECONDS} s is the most")
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Its stages, in order."""
        return self.shape.stages()

    @property
    def seconds(self) -> float:
        """How long it takes when no stage ends it."""
        return sum(stage.seconds for stage in self.stages)


def read(name_or_path: str) -> Profile:
    """A shipped profile by name, or a file."""
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = SHIPPED / f"{name_or_path}.yaml"
    try:
        document = yaml.safe_load(path.read_text())
    except OSError:
        shipped = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.yaml")))
        raise LoadTestError(
            f"no profile {name_or_path!r}; give a path to a .yaml file, or one of: {shipped}"
        ) from None
    except yaml.YAMLError as error:
        raise LoadTestError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(_problem(each) for each in error.errors(include_url=False))
        raise LoadTestError(f"{path}: {problems}") from None


def _problem(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"])) or "profile"
    if problem["type"] == "extra_forbidden":
        return f"{where}: no such setting"
    if problem["type"] == "missing":
        return f"{where}: is missing"
    said = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {said[0].lower()}{said[1:]}" + (
        f", found {problem['input']!r}" if problem["type"] != "value_error" else ""
    )
