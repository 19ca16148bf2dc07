"""Reads an experiment spec and says exactly what is wrong with it."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from experiments import pipelines
from experiments.errors import ExperimentError
from experiments.spec import (
    Candidate,
    CrossValidation,
    ExperimentSpec,
    FileSplit,
    RandomSplit,
    Range,
    Roles,
    Source,
    StratifiedSplit,
    TimeSplit,
)
from registry.contract import Task
from registry.metrics import METRICS

SHIPPED = Path(__file__).parent / "specs"
LONGEST_VALUE = 60  # characters of what was found that a message repeats
REGRESSION_METRICS = ("rmse", "rmsle", "mae", "r2")


class _Loader(yaml.SafeLoader):
    """YAML where a key can stand once only: the last one would win silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} stands here a second time", problem_mark=key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else None)
        return super().construct_mapping(node, deep)


def shipped() -> list[str]:
    """The names of the experiments that come with Assay."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def find(name_or_path: str) -> Path:
    """The spec's file."""
    if name_or_path in shipped():
        return SHIPPED / f"{name_or_path}.yaml"
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        raise ExperimentError(f"there is no spec file {name_or_path}")
    raise ExperimentError(
        f"there is no experiment {name_or_path!r}{near(name_or_path, shipped())}; "
        f"shipped: {', '.join(shipped())}; or name a YAML file"
    )


def read(path: Path) -> ExperimentSpec:
    """Parse and check; relative paths inside become relative to the file."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" line {mark.line + 1}" if mark else ""
        raise ExperimentError(f"{path}{line}: not YAML: {error.problem}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ExperimentError(f"{path}: not readable: {error}") from error
    if not isinstance(document, dict):
        raise ExperimentError(f"{path}: found {_shown(document)}, a mapping is needed")
    try:
        spec = ExperimentSpec.model_validate(document)
    except ValidationError as error:
        raise _refusal(path, [_explained(each) for each in error.errors()]) from error
    if problems := list(_contradictions(spec)):
        raise _refusal(path, problems)
    return _anchored(spec, path.parent)


def metrics_of(task: Task) -> list[str]:
    """The metrics that can score a task."""
    regression = task == "regression"
    return [name for name in METRICS if (name in REGRESSION_METRICS) == regression]


def near(found: str, allowed: Iterable[str]) -> str:
    """A suggestion for a name that was mistyped, or nothing."""
    close = difflib.get_close_matches(found, list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _refusal(path: Path, problems: Sequence[str]) -> ExperimentError:
    return ExperimentError("\n".join(f"{path}: {problem}" for problem in problems))


def _explained(error: Any) -> str:
    """Pydantic's problem as: where, what was found, what is allowed."""
    where, found, context = _where(error["loc"]), error.get("input"), error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{where}: missing, and needed"
        case "union_tag_not_found":
            return f"{where}.kind: missing, and needed: random, stratified, time or file"
        case "extra_forbidden":
            allowed = _keys(error["loc"])
            return (
                f"{where}: no such key{near(str(error['loc'][-1]), allowed)}; "
                f"allowed: {', '.join(allowed)}"
            )
        case "literal_error":
            return _not_allowed(where, found, context["expected"])
        case "union_tag_invalid":
            return _not_allowed(f"{where}.kind", context["tag"], context["expected_tags"])
        case _:
            message = error["msg"].removeprefix("Value error, ")
            return f"{where}: found {_shown(found)}; {message[0].lower()}{message[1:]}"


def _not_allowed(where: str, found: Any, expected: str) -> str:
    """`expected` as pydantic writes it: 'a', 'b' or 'c'."""
    allowed = re.findall(r"'([^']*)'", expected)
    return (
        f"{where}: found {_shown(found)}{near(str(found), allowed)}; allowed: {', '.join(allowed)}"
    )


_SECTIONS: Mapping[str, type[BaseModel]] = {
    "data": Source,
    "roles": Roles,
    "cv": CrossValidation,
    "random": RandomSplit,
    "stratified": StratifiedSplit,
    "time": TimeSplit,
    "file": FileSplit,
}


def _where(loc: Sequence[int | str]) -> str:
    shown = [str(part) for index, part in enumerate(loc) if not _in_union(loc[:index])]
    return ".".join(shown) or "the file"


def _in_union(parents: Sequence[int | str]) -> bool:
    """Whether pydantic's next word is not a key but the type of a union that it tried."""
    match list(parents):
        case ["split"] | ["candidates", _, "space", _]:
            return True
    return False


def _keys(loc: Sequence[int | str]) -> list[str]:
    """The keys that are allowed where the location's last one was found."""
    match list(loc[:-1]):
        case []:
            model: type[BaseModel] = ExperimentSpec
        case ["candidates", _]:
            model = Candidate
        case ["candidates", *_]:
            model = Range
        case [*_, str(section)]:
            model = _SECTIONS[section]
    return list(model.model_fields)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _contradictions(spec: ExperimentSpec) -> Iterator[str]:
    """What the types allow and the spec as a whole does not."""
    regression = spec.task == "regression"
    metrics = metrics_of(spec.task)
    if spec.metric not in metrics:
        yield (
            f"metric: found {_shown(spec.metric)}{near(spec.metric, metrics)}; "
            f"allowed for {spec.task}: {', '.join(metrics)}"
        )
    if spec.log_target and not regression:
        yield f"log_target: found True; allowed for {spec.task}: False"
    if isinstance(spec.split, StratifiedSplit) and regression:
        yield "split.kind: found 'stratified'; allowed for regression: random, time, file"
    for name, candidate in spec.candidates.items():
        yield from _space(f"candidates.{name}", spec, name)
        ranges = [each for each in candidate.space.values() if isinstance(each, Range)]
        if ranges and candidate.trials is None:
            yield f"candidates.{name}.trials: missing, and needed to draw from a range"
    yield from _columns(spec)


def _space(where: str, spec: ExperimentSpec, name: str) -> Iterator[str]:
    candidate = spec.candidates[name]
    allowed = pipelines.parameters(candidate.family, spec.task)
    for parameter, choices in candidate.space.items():
        if parameter not in allowed:
            yield (
                f"{where}.space.{parameter}: no such parameter{near(parameter, allowed)}; "
                f"allowed for {candidate.family}: {', '.join(allowed)}"
            )
        if isinstance(choices, Range) and not choices.low < choices.high:
            yield f"{where}.space.{parameter}: found low {choices.low:g}; must be below high"
        if isinstance(choices, Range) and choices.scale == "log" and choices.low <= 0:
            yield f"{where}.space.{parameter}: found low {choices.low:g}; a log scale needs > 0"
        if isinstance(choices, tuple) and not choices:
            yield f"{where}.space.{parameter}: found []; at least one value is needed"


def _columns(spec: ExperimentSpec) -> Iterator[str]:
    """A column has one place."""
    places: dict[str, str] = {spec.target: "target"}
    listed = {"drop": spec.drop, **{f"roles.{k}": v for k, v in spec.roles.model_dump().items()}}
    for place, columns in listed.items():
        for column in columns:
            if column in places:
                yield f"{place}: column {column!r} already stands in {places[column]}"
            places[column] = place
    if spec.target in spec.slices:
        yield f"slices: found the target {spec.target!r}; a feature or a dropped column is needed"


def _anchored(spec: ExperimentSpec, folder: Path) -> ExperimentSpec:
    data = spec.data.model_copy(update={"source": _anchor(spec.data, folder)})
    split = spec.split
    if isinstance(split, Source):
        split = split.model_copy(update={"source": _anchor(split, folder)})
    return spec.model_copy(update={"data": data, "split": split})


def _anchor(source: Source, folder: Path) -> str:
    if is_function(source.source) or "://" in source.source:
        return source.source
    return str(folder / Path(source.source).expanduser())


def is_function(source: str) -> bool:
    """Whether a source is `module:function` rather than a path or URI."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", source) is not None
