"""One loaded bundle: contract, engine and counts. Every door of the server leads here."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import orjson

from registry.artifact import Engine as EngineName
from serving.batching import Batcher
from serving.bundle import Bundle, Extra
from serving.compare import compare
from serving.decode import Decoder, Limits, Request
from serving.encode import Encoder
from serving.engine import Engine, Outputs
from serving.errors import ServingError
from serving.limits import cpu_threads
from serving.statistics import Statistics

logger = logging.getLogger(__name__)

# The MLflow model answers as it did in training, but for the order of sums in a batch of
# another size.
PYFUNC_TOLERANCE = 1e-9
# ONNX Runtime answers so many rows in about a millisecond: not worth a thread, and not long
# enough to keep the event loop from other requests.
INLINE_ROWS = 256


class Plane:
    """Answers decoded requests for one version."""

    def __init__(self, bundle: Bundle, extra: Extra) -> None:
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.limits = extra.limits
        self.contract = bundle.artifact.contract
        self.identity = bundle.artifact.identity
        self.golden = bundle.artifact.golden
        self.decoder = Decoder(self.contract, Limits(self.limits.max_rows, self.limits.max_bytes))
        self.encoder = Encoder(self.contract, self.manifest.model_name, str(self.manifest.version))
        self.engine = load_engine(bundle, extra.engine or self.manifest.engine)
        self.statistics = Statistics()
        self._tolerance = (
            bundle.artifact.parity.tolerance if self.engine.name == "onnx" else PYFUNC_TOLERANCE
        )
        self._batcher = (
            Batcher(self.engine, self.limits.max_rows) if self.engine.name == "pyfunc" else None
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")

    @classmethod
    def load(cls, bundle: Bundle, extra: Extra) -> "Plane":
        """Load a bundle and prove it: whole files, and an engine that repeats the golden rows."""
        bundle.verify()
        plane = cls(bundle, extra)
        plane.prove()
        return plane

    def prove(self) -> None:
        """Replay the golden rows through contract and engine; a different answer is not served."""
        golden = self.golden
        request = self.decoder.predict_json(orjson.dumps({"rows": golden.rows}))
        difference = compare(self.contract, golden.outputs, self.engine.predict(request.columns))
        if not difference.within(self._tolerance):
            raise ServingError(
                f"the {self.engine.name} engine does not repeat the golden rows of "
                f"{self.manifest.model_name} version {self.manifest.version}: "
                f"{difference.label_flips} of {difference.rows} labels differ, largest difference "
                f"{difference.largest:.3g} (allowed {self._tolerance:g}); "
                "bundle it with --engine pyfunc"
            )
        logger.info("%d golden rows repeated by the %s engine", difference.rows, self.engine.name)

    @property
    def badge(self) -> str:
        """Who answered, as every response says it: name/version/digest."""
        manifest = self.manifest
        return f"{manifest.model_name}/{manifest.version}/{manifest.model_digest[:12]}"

    async def predict(self, request: Request, deadline: float | None) -> Outputs:
        """Answer an accepted request; `deadline` is on the event loop's clock."""
        self.statistics.observe(request.rows, request.missing_rows, request.unknown_categories)
        if self._batcher is not None:
            return await self._batcher.predict(request.columns, request.rows, deadline)
        if request.rows <= INLINE_ROWS:
            return self.engine.predict(request.columns)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.engine.predict, request.columns)

    def health(self) -> dict[str, object]:
        """Who answers here, how good it was on held-out rows, and what it has done."""
        identity = self.identity
        return {
            "model": {
                "name": self.manifest.model_name,
                "version": str(self.manifest.version),
                "digest": self.manifest.model_digest,
                "run_id": self.manifest.run_id,
                "git_commit": self.manifest.git_commit,
                "engine": self.engine.name,
            },
            "holdout": {
                "metric": identity.metric,
                "rows": identity.holdout_rows,
                **identity.holdout.model_dump(),
            },
            **self.statistics.report(),
        }


def load_engine(bundle: Bundle, name: EngineName) -> Engine:
    """Load the engine of that name; the other one's packages need not be installed."""
    artifact = bundle.artifact
    if name == "pyfunc":
        from serving.pyfunc_engine import PyfuncEngine

        return PyfuncEngine(artifact.folder, artifact.contract, cpu_threads())
    from registry.artifact import GRAPH
    from serving.onnx_engine import OnnxEngine

    if not artifact.path(GRAPH).is_file():
        raise ServingError(f"{bundle.folder} holds no graph; it can only run the pyfunc engine")
    return OnnxEngine(artifact.path(GRAPH), artifact.contract, cpu_threads())
