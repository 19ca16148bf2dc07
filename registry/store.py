"""The one MLflow store that every command reads and writes."""

import os

import mlflow
from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"


def connect() -> MlflowClient:
    """A client of MLFLOW_TRACKING_URI, or of a sqlite store in the working directory."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient()
