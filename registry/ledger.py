"""The history of promotions: numbered entries that are written once and never change.

MLflow can set an alias but not compare and set it. What it does guarantee is that a run's
parameter keeps the first value it was given. So the history of a model is one run in the
experiment `promotions`, its entries are parameters 000001, 000002, …, and whoever writes the next
number first has decided; the alias only follows. The run is named by a tag that is set in the
same call that creates the registered model, which MLflow also lets succeed only once.
"""

import json
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from pydantic import BaseModel, ConfigDict, Field

from registry.errors import RegistryError

EXPERIMENT = "promotions"
LEDGER = "assay.ledger"
NOTE = "mlflow.note.content"  # what MLflow shows as the description
EXPERIMENT_NOTE = "Which version of each registered model became champion, when and why. Keep it."
Action = Literal["promote", "rollback", "adopt", "restore"]
ENTRY = re.compile(r"^\d{6}$")
LONGEST_REASON = 500  # MLflow cuts parameters at 6000 characters without a word


class Entry(BaseModel):
    """One decision about the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action
    version: int | None
    """The champion from here on; None when there is none."""
    replaces: int | None
    evidence: str | None
    """The digest of the evidence that this version may be champion on."""
    by: str
    at: datetime
    reason: str = Field("", max_length=LONGEST_REASON)
    token: str = Field(default_factory=lambda: secrets.token_hex(8))
    """Tells two otherwise equal entries apart, so that each writer knows whether it was first."""


class Numbered(BaseModel):
    """An entry in its place."""

    model_config = ConfigDict(frozen=True)

    number: int
    entry: Entry
    done: bool
    """Whether the alias and everything else is known to have followed."""


class Ledger:
    """The entries of one registered model, read when asked."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self.client = client
        self.name = name
        self.run_id = _run_id(_registered(client, name))

    def entries(self) -> tuple[Numbered, ...]:
        """All entries, first to last."""
        parameters = self._parameters()
        return tuple(
            Numbered(
                number=int(key),
                entry=Entry.model_validate(json.loads(value)),
                done=_done(int(key)) in parameters,
            )
            for key, value in sorted(parameters.items())
            if ENTRY.match(key)
        )

    def head(self) -> Numbered | None:
        """The last entry, which says what is champion."""
        entries = self.entries()
        return entries[-1] if entries else None

    def claim(self, after: Numbered | None, entry: Entry) -> Numbered | None:
        """Write the entry that follows `after`; None when somebody else was first."""
        number = 1 if after is None else after.number + 1
        key, value = f"{number:06d}", entry.model_dump_json()
        self._write(key, value)
        # Whatever the call said, what stands there now stands there for good.
        if self._parameters()[key] != value:
            return None
        return Numbered(number=number, entry=entry, done=False)

    def finish(self, number: int, by: str) -> None:
        """Note that everything follows this entry; several may, the first is kept."""
        self._write(_done(number), by)

    def _write(self, key: str, value: str) -> None:
        try:
            self.client.log_param(self.run_id, key, value)
        except MlflowException:
            if key not in self._parameters():  # then it was not that somebody else was first
                raise

    def _parameters(self) -> dict[str, str]:
        try:
            run = self.client.get_run(self.run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise RegistryError(
                f"the history of {self.name!r} (run {self.run_id}) is gone; restore your backup"
            ) from error
        if run.info.lifecycle_stage != "active":
            raise RegistryError(
                f"the history of {self.name!r} was deleted; restore it: "
                f"mlflow runs restore --run-id {self.run_id}"
            )
        return dict(run.data.params)


def create_model(client: MlflowClient, name: str) -> None:
    """Create the registered model and its history in one, unless it exists."""
    try:
        _run_id(_registered(client, name))
    except _NoModelError:
        run_id = _new_run(client, name)
        try:
            client.create_registered_model(name, tags={LEDGER: run_id})
        except MlflowException as error:
            client.delete_run(run_id)
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def former(entries: Sequence[Entry]) -> tuple[int, ...]:
    """The champions before the last entry's, latest first; what a rollback left is forgotten."""
    champions: list[int | None] = []
    for entry in entries:
        if entry.action == "rollback" and entry.version in champions:
            del champions[champions.index(entry.version) :]
        champions.append(entry.version)
    present = champions[-1] if champions else None
    latest_first = dict.fromkeys(reversed(champions))
    return tuple(each for each in latest_first if each is not None and each != present)


def rolled_back(entries: Sequence[Entry], number: int) -> Entry | None:
    """The rollback that took the version's place, unless it was made champion again since."""
    for entry in reversed(entries):
        if entry.version == number:
            return None
        if entry.action == "rollback" and entry.replaces == number:
            return entry
    return None


class _NoModelError(RegistryError):
    pass


def _registered(client: MlflowClient, name: str) -> RegisteredModel:
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = ", ".join(sorted(each.name for each in client.search_registered_models()))
        raise _NoModelError(
            f"no registered model {name!r}; train one: python -m experiments train {name}"
            + (f" (there are: {known})" if known else "")
        ) from error


def _run_id(model: RegisteredModel) -> str:
    run_id = model.tags.get(LEDGER)
    if run_id is None:
        raise RegistryError(
            f"the registered model {model.name!r} was not created by Assay (it lacks the tag "
            f"{LEDGER}); rename it, or choose another name"
        )
    return str(run_id)


def _new_run(client: MlflowClient, name: str) -> str:
    try:
        experiment_id = client.create_experiment(EXPERIMENT, tags={NOTE: EXPERIMENT_NOTE})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None or experiment.lifecycle_stage != "active":
            raise RegistryError(
                f"the MLflow experiment {EXPERIMENT!r} was deleted; restore it: "
                "mlflow experiments restore"
            ) from error
        experiment_id = experiment.experiment_id
    note = f"The history of the registered model {name}, which its page shows as a table."
    run = client.create_run(experiment_id, run_name=name, tags={NOTE: note})
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _done(number: int) -> str:
    return f"{number:06d}.done"
