"""Versions of a model: contract, evidence, gates, promotion and rollback."""

import os

# MLflow reads this once, while it is being imported; every module here is imported after this one.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
