"""Runs that always end: finished, failed or killed, whatever happens to the process."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from experiments.errors import ExperimentError

log = logging.getLogger(__name__)
PROCESS = "assay.process"
STARTED_BY = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def run(name: str, *, nested: bool = False) -> Iterator[str]:
    """A run of the active experiment that ends as FINISHED, FAILED or KILLED; yields its id."""
    started = mlflow.start_run(run_name=name, tags={PROCESS: _process()}, nested=nested)
    try:
        yield str(started.info.run_id)
    except KeyboardInterrupt:
        mlflow.end_run("KILLED")
        raise
    except BaseException:
        mlflow.end_run("FAILED")
        raise
    mlflow.end_run("FINISHED")


@contextmanager
def out_of_bookkeeping() -> Iterator[str | None]:
    """Step out of the run that `mlflow run` made, whose id this yields.

    It is in an experiment named by MLflow; ours is in the one named after the model.
    """
    kept = {name: os.environ.pop(name) for name in STARTED_BY if name in os.environ}
    try:
        yield kept.get("MLFLOW_RUN_ID")
    finally:
        os.environ.update(kept)


def point(client: MlflowClient, outer: str, spec_name: str, run_id: str) -> None:
    """Leave the way to our run in the run that `mlflow run` made."""
    client.set_tag(outer, "assay.training_run", run_id)
    client.set_tag(
        outer, "mlflow.note.content", f"Trained in experiment `{spec_name}`, run `{run_id}`."
    )


def _process() -> str:
    return f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())}"


def heal(client: MlflowClient, experiment_id: str) -> int:
    """End the runs that a process of this host left RUNNING when it was killed; how many."""
    running = client.search_runs([experiment_id], "attributes.status = 'RUNNING'")
    left = [each for each in running if _abandoned(each.data.tags.get(PROCESS, ""))]
    for each in left:
        client.set_terminated(each.info.run_id, "KILLED")
        log.info("run %s was left running by a killed process; ended it", each.info.run_name)
    return len(left)


def _abandoned(tag: str) -> bool:
    host, _, process = tag.partition(" ")
    pid, _, started = process.partition(" ")
    return host == socket.gethostname() and pid.isdigit() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; numbers of processes are used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except FileNotFoundError:
        return "" if Path("/proc/self").exists() else _alive(pid)


def _alive(pid: int) -> str:
    """Where there is no /proc: whether there is such a process at all."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"


@contextmanager
def clear_errors() -> Iterator[None]:
    """The store's and the disk's problems as one line each."""
    try:
        yield
    except (OSError, MlflowException, SQLAlchemyError) as error:
        if message := _problem(error):
            raise ExperimentError(message) from error
        raise


def _problem(error: BaseException) -> str | None:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    said = " ".join(str(each) for each in chain)
    for each in chain:
        if isinstance(each, OSError) and each.errno in NO_SPACE:
            where = f" for {each.filename}" if each.filename else ""
            return f"no space left{where}; free some and train again (nothing was registered)"
    if "database is locked" in said:
        return f"the store {_store()} is locked by another process; try again when that has ended"
    if "disk is full" in said or "disk I/O error" in said:
        return f"the store {_store()} cannot be written: its disk is full or broken"
    if isinstance(error, OSError):
        return None
    return f"the store {_store()}: {str(error).strip().splitlines()[0]}"


def _store() -> str:
    return str(mlflow.get_tracking_uri())
