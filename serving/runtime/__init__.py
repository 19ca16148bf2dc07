"""The seam to MLServer: everything that knows it is in this package.

A bundle's settings.json names `BundleRepository`, which MLServer builds before its servers: that
is where ours take their place. Its model-settings.json names `AssayRuntime`.
"""

from serving.runtime.model import AssayRuntime
from serving.runtime.servers import BundleRepository

__all__ = ["AssayRuntime", "BundleRepository"]
