"""`python -m serving.runtime BUNDLE`: what `mlserver start BUNDLE` does, without its command line.

MLServer's commands import a client that serving never uses (tritonclient, gevent, aiohttp), at a
price in start-up time, memory and image size.
"""

import asyncio
import json
import sys
from pathlib import Path

from mlserver import MLServer
from mlserver.logging import configure_logger
from mlserver.settings import Settings
from mlserver.utils import install_uvloop_event_loop

from serving.bundle import SETTINGS
from serving.runtime import BundleRepository


async def serve(folder: Path) -> None:
    """Serve one bundle until a signal says stop."""
    settings = Settings(**json.loads((folder / SETTINGS).read_bytes()))
    settings.model_repository_root = str(folder)
    server = MLServer(settings)
    await server.start(await BundleRepository(str(folder)).list())


if __name__ == "__main__":
    configure_logger()
    install_uvloop_event_loop()
    asyncio.run(serve(Path(sys.argv[1])))
