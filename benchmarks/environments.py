"""A virtual environment for each contender, made from its own lock and holding nothing else."""

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.errors import BenchmarkError

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
LOCKS = {
    "develop": ROOT / "requirements" / "develop.txt",
    "stock": ROOT / "benchmarks" / "requirements" / "stock.txt",
    "bentoml": ROOT / "benchmarks" / "requirements" / "bentoml.txt",
    "bare": ROOT / "benchmarks" / "requirements" / "bare.txt",
    "onnx": ROOT / "requirements" / "serve-onnx.txt",  # what an image of Assay installs
    "pyfunc": ROOT / "requirements" / "serve-pyfunc.txt",
}


def interpreter(name: str) -> Path:
    """The Python of that environment, installed if its lock is new or has changed.

    Bytecode is compiled now: the first start would otherwise do it, while it is timed.
    """
    folder = BUILD / "environments" / name
    python, mark = folder / "bin" / "python", folder / "lock.sha256"
    digest = hashlib.sha256(LOCKS[name].read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return python
    _uv("venv", "--clear", "--python", sys.executable, str(folder))
    _uv(
        *("pip", "sync", "--python", str(python), "--compile-bytecode"),
        *("--require-hashes", str(LOCKS[name])),
    )
    mark.write_text(digest)
    return python


def pins(name: str) -> dict[str, str]:
    """Version by package of an environment."""
    lines = LOCKS[name].read_text().splitlines()
    return dict(line.split(" ")[0].split("==") for line in lines if line[:1].isalnum())


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", arguments[0], "--quiet", *arguments[1:]]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchmarkError(f"uv {arguments[0]} failed:\n{done.stderr.strip()}")
