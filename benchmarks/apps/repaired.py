"""MLServer's MLflow runtime, able to answer with text over gRPC.

The stock one fails there ("expected bytes, str found"): it encodes arrays of numpy's text type, and
scikit-learn's labels are an array of objects.
"""

from typing import Any

from mlserver_mlflow import MLflowRuntime


class Repaired(MLflowRuntime):
    """Hands labels on as numpy's text type, and changes nothing else."""

    async def load(self) -> bool:
        """Load the model, and wrap its predict."""
        loaded = await super().load()
        predict = self._model.predict

        def as_text(data: Any, params: Any = None) -> Any:
            return predict(data, params=params).astype(str)

        self._model.predict = as_text
        return bool(loaded)
