"""Reads an experiment spec and says exactly what is wrong with it."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from experiments import pipelines
from experiments.errors import ExperimentError
from experiments.spec import ExperimentSpec, Range, Source, StratifiedSplit
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
    loc = [part for part in error["loc"] if part not in _BRANCHES]
    where = ".".join(map(str, loc)) or "the file"
    found, context = error.get("input"), error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{where}: missing, and needed"
        case "extra_forbidden":
            allowed = _keys(error["loc"])
            return (
                f"{'.'.join(map(str, loc))}: no such key{near(str(loc[-1]), allowed)}; "
                f"allowed: {', '.join(allowed)}"
            )
        case "literal_error" | "union_tag_invalid":
            allowed = re.findall(
                r"'([^']*)'", context.get("expected", context.get("expected_tags"))
            )
            if error["type"] == "union_tag_invalid":
                where, found = f"{where}.kind", context["tag"]
            return (
                f"{where}: found {_shown(found)}{near(str(found), allowed)}; "
                f"allowed: {', '.join(allowed)}"
            )
        case "union_tag_not_found":
            return f"{where}.kind: missing, and needed: random, stratified, time or file"
        case _:
            message = error["msg"][0].lower() + error["msg"][1:]
            return f"{where}: found {_shown(found)}; {message}"


# Names of types that pydantic puts into the location of a problem in a union.
_BRANCHES = {
    *("random", "stratified", "time", "file"),
    *("Range", "tuple[nullable[union[bool,int,float,str]],...]"),
}


def _keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where the location's last one was found."""
    model: Any = ExperimentSpec
    for part in loc[:-1]:
        if isinstance(model, type) and part in model.model_fields:
            model = model.model_fields[str(part)].annotation
        model = next(_models(model, part), model)
    return list(model.model_fields)


def _models(annotation: Any, part: int | str) -> Iterator[type[BaseModel]]:
    """The models inside an annotation, the one of a union that the location names first."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    found = [model for each in get_args(annotation) for model in _models(each, part)]
    yield from sorted(found, key=lambda model: not _named(model, part))


def _named(model: type[BaseModel], part: int | str) -> bool:
    kind = model.model_fields.get("kind")
    return model.__name__ == part or (kind is not None and get_args(kind.annotation) == (part,))


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
