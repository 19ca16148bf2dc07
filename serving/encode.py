"""Named arrays become the answer that each door gives."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.contract import Contract
from serving.decode import Request

Outputs = Mapping[str, NDArray[np.generic]]


class Encoder:
    """Writes answers for one version of a model."""

    def __init__(self, contract: Contract, model_name: str, model_version: str) -> None:
        self.contract = contract
        self.model_name = model_name
        self.model_version = model_version

    def v2_json(self, request: Request, outputs: Outputs) -> bytes:
        """A V2 inference response."""
        raise NotImplementedError

    def predict_json(self, request: Request, outputs: Outputs) -> bytes:
        """`{"predictions": […], "probabilities": [{class: p}, …], "model": {…}}`."""
        raise NotImplementedError

    def invocations_json(self, request: Request, outputs: Outputs) -> bytes:
        """MLflow's `{"predictions": […]}`."""
        raise NotImplementedError

    def v2_grpc(self, request: Request, outputs: Outputs, message: Callable[..., Any]) -> Any:
        """An `inference.ModelInferResponse`, whose class is `message`."""
        raise NotImplementedError
