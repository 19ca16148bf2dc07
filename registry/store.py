"""The one MLflow store that every command reads and writes, and what can be wrong with it."""

import os

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from registry.errors import RegistryError

DEFAULT_URI = "sqlite:///mlflow.db"
FAILURES = (MlflowException, SQLAlchemyError, requests.RequestException, OSError)
SECONDS_TO_ANSWER = 10  # MLflow itself would try a dead server again for minutes


def connect() -> MlflowClient:
    """A client of MLFLOW_TRACKING_URI, or of a sqlite store in the working directory."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if uri.startswith(("http://", "https://")):
        _knock(uri)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient()


def _knock(uri: str) -> None:
    try:
        requests.get(uri, timeout=SECONDS_TO_ANSWER)
    except requests.RequestException as error:
        raise RegistryError(
            f"no MLflow server answers at {uri}; start it, or set MLFLOW_TRACKING_URI"
        ) from error


def explain(error: Exception) -> str:
    """One line about what MLflow could not do."""
    text = " ".join(str(error).split())
    if "database is locked" in text:
        return "the sqlite store is locked by another process; wait for it, or end it, and retry"
    if "unable to open database file" in text or "readonly database" in text:
        return f"the sqlite store {mlflow.get_tracking_uri()} cannot be opened for writing"
    if isinstance(error, requests.RequestException) or "Max retries exceeded" in text:
        return f"the MLflow server {mlflow.get_tracking_uri()} stopped answering; retry"
    if isinstance(error, MlflowException):
        return f"MLflow: {text}"
    return text
