"""What a version must show before it may become champion, read from YAML."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from registry.errors import RegistryError
from registry.metrics import METRICS

SHIPPED = Path(__file__).parent / "policies"
DEFAULT = "default"


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QualityPolicy(_Closed):
    """Score against a threshold, the best constant answer and the champion."""

    thresholds: dict[str, float]
    margin: float = Field(ge=0, lt=1)

    @field_validator("thresholds")
    @classmethod
    def _known(cls, thresholds: dict[str, float]) -> dict[str, float]:
        for name in thresholds:
            if name not in METRICS:
                raise ValueError(f"no metric {name!r}; there are {', '.join(METRICS)}")
        return thresholds


class PlausibilityPolicy(_Closed):
    """No column tells the target alone."""

    single_column: float = Field(gt=0, le=1)


class SlicesPolicy(_Closed):
    """No named group falls against the champion."""

    margin: float = Field(ge=0, lt=1)
    least_rows: int = Field(ge=2)


class CalibrationPolicy(_Closed):
    """Probabilities are frequencies; classifiers only."""

    largest_error: float = Field(ge=0, le=1)


class ErrorsPolicy(_Closed):
    """Large errors stay rare; regression only."""

    quantiles: tuple[float, ...] = Field(min_length=1)
    margin: float = Field(ge=0)

    @field_validator("quantiles")
    @classmethod
    def _shares(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < each < 1 for each in quantiles):
            raise ValueError("quantiles lie between 0 and 1")
        return quantiles


class ContractPolicy(_Closed):
    """The champion's clients go on working."""


class ParityPolicy(_Closed):
    """A started bundle answers as the pipeline does."""

    rows: int = Field(ge=1)
    encodings: tuple[str, ...] = Field(min_length=1)
    probability: float = Field(ge=0)
    regression: float = Field(ge=0)


class CapacityPolicy(_Closed):
    """Latency, memory and errors of one replica."""

    p50_ms: float = Field(gt=0)
    p95_ms: float = Field(gt=0)
    p99_ms: float = Field(gt=0)
    memory_mb: float = Field(gt=0)
    error_share: float = Field(ge=0, le=1)
    requests_per_second: float = Field(ge=0)


class SupplyPolicy(_Closed):
    """Nothing in the artifact runs that nobody looked at."""

    size_mb: float = Field(gt=0)
    trusted_types: tuple[str, ...]
    code: tuple[str, ...]


class ProvenancePolicy(_Closed):
    """The code that trained it can be read again."""


class Policy(_Closed):
    """The gates and their limits; null switches a gate off."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    quality: QualityPolicy | None
    plausibility: PlausibilityPolicy | None
    slices: SlicesPolicy | None
    calibration: CalibrationPolicy | None
    errors: ErrorsPolicy | None
    contract: ContractPolicy | None
    parity: ParityPolicy | None
    capacity: CapacityPolicy | None
    supply: SupplyPolicy | None
    provenance: ProvenancePolicy | None

    def digest(self) -> str:
        """The sha256 of what it asks, whatever its comments and layout."""
        meaning = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(meaning.encode()).hexdigest()


def read(name_or_path: str = DEFAULT) -> Policy:
    """A shipped policy by name, or a file."""
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = SHIPPED / f"{name_or_path}.yaml"
    try:
        document = yaml.safe_load(path.read_text())
    except OSError:
        shipped = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.yaml")))
        raise RegistryError(
            f"no policy {name_or_path!r}; give a path to a .yaml file, or one of: {shipped}"
        ) from None
    except yaml.YAMLError as error:
        raise RegistryError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise RegistryError(f"{path} must hold a mapping of gates; see {SHIPPED / 'default.yaml'}")
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        raise RegistryError(f"{path}: {_problems(error)}") from None


def _problems(error: ValidationError) -> str:
    """Each problem with its path inside the file, what was found and what is allowed."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'policy'}: {_problem(each)}"
        for each in error.errors(include_url=False)
    )


def _problem(each: Any) -> str:
    if each["type"] == "extra_forbidden":
        return "no such setting"
    if each["type"] == "missing":
        return "is missing (null switches a gate off)"
    return f"{each['msg'][0].lower()}{each['msg'][1:]}, found {each['input']!r}"
