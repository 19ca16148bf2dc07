"""The model that MLServer loads, marks ready and describes."""

import asyncio
import gc
import logging
import os
from pathlib import Path

from mlserver import MLModel, ModelSettings
from mlserver.types import MetadataModelResponse, MetadataTensor, Parameters
from mlserver.utils import get_model_uri
from prometheus_client import REGISTRY

from registry.contract import Column, Output
from serving.bundle import Bundle, Extra
from serving.errors import ServingError
from serving.plane import Plane
from serving.problems import Code, refuse
from serving.runtime.metrics import StatisticsCollector

logger = logging.getLogger(__name__)

# What MLServer's own codecs expect of a tensor of this type.
CONTENT_TYPES = {"string": "str", "datetime": "datetime", "binary": "base64"}


class AssayRuntime(MLModel):
    """Loads a bundle; `rest` and `grpc` take requests past it, to the plane."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self._plane: Plane | None = None
        self.draining = False
        """Set when the server has been told to stop: it still answers, but is not ready."""

    @property
    def loaded(self) -> bool:
        """Whether there is a plane to ask."""
        return self._plane is not None

    @property
    def plane(self) -> Plane:
        """The loaded bundle; raises Refusal (503) until it is loaded and proven."""
        if self._plane is None:
            raise refuse(503, Code.NOT_READY, "the model is still loading; try again")
        return self._plane

    async def load(self) -> bool:
        """Load and prove the bundle off the event loop, so that liveness is answered meanwhile."""
        folder = Path(await get_model_uri(self.settings)).parent
        try:
            extra = Extra.model_validate(self.settings.parameters.extra or {})
            self._plane = await asyncio.to_thread(Plane.load, Bundle(folder), extra)
        except Exception as error:
            if isinstance(error, ServingError):
                logger.error("%s", error)  # noqa: TRY400 - the message says it all
            else:
                logger.exception("the bundle at %s does not load", folder)
            # MLServer would stop, and exit with 0. Nothing was served yet, so nothing is lost, and
            # the message stays the last one in the log.
            logging.shutdown()
            os._exit(1)
        # What is loaded stays: the collector need not walk it again under every large request.
        gc.collect()
        gc.freeze()
        REGISTRY.register(StatisticsCollector(self.plane.statistics))
        manifest = self.plane.manifest
        logger.info(
            "serving %s version %d: model %s, run %s, commit %s, %s engine",
            manifest.model_name,
            manifest.version,
            manifest.model_digest,
            manifest.run_id,
            manifest.git_commit,
            self.plane.engine.name,
        )
        return True

    async def metadata(self) -> MetadataModelResponse:
        """Say what is really accepted and returned, and which model answers."""
        manifest = self.plane.manifest
        return MetadataModelResponse(
            name=self.name,
            versions=[str(manifest.version)],
            platform=f"assay_{self.plane.engine.name}",
            inputs=[_input(column) for column in self.plane.contract.columns],
            outputs=[_output(output) for output in self.plane.contract.outputs],
            parameters=Parameters(
                model_digest=manifest.model_digest,
                run_id=manifest.run_id,
                git_commit=manifest.git_commit,
                task=self.plane.contract.task,
            ),
        )


def _input(column: Column) -> MetadataTensor:
    return MetadataTensor(
        name=column.name,
        datatype=column.datatype,
        shape=[-1, 1],
        parameters=Parameters(
            content_type=CONTENT_TYPES.get(column.type, "np"), nullable=column.nullable
        ),
    )


def _output(output: Output) -> MetadataTensor:
    content_type = "str" if output.datatype == "BYTES" else "np"
    classes = {} if output.classes is None else {"classes": list(output.classes)}
    return MetadataTensor(
        name=output.name,
        datatype=output.datatype,
        shape=list(output.shape),
        parameters=Parameters(content_type=content_type, **classes),
    )
