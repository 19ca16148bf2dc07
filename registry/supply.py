"""What an artifact is made of, read without running any of it."""

from pathlib import Path

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from registry.artifact import Artifact
from registry.measurements import Supply
from registry.score import CODE, MODEL

# Formats that execute what they contain when they are loaded.
EXECUTABLE = {".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill", ".pt", ".pth", ".so"}
BYTES_A_MB = 1_000_000


def audit(artifact: Artifact, registered_digest: str) -> Supply:
    """List the files, types and requirements."""
    folder = artifact.folder
    files = [folder / name for name in artifact.files()]
    names = [path.relative_to(folder).as_posix() for path in files]
    lines = _requirements(folder / "requirements.txt")
    return Supply(
        digest=artifact.digest(),
        registered_digest=registered_digest,
        format=_format(folder),
        size_mb=sum(path.stat().st_size for path in files) / BYTES_A_MB,
        types=_types(folder / MODEL),
        code=tuple(n for n in names if n.startswith(f"{CODE}/") or n.endswith(".py")),
        executables=tuple(name for name in names if Path(name).suffix in EXECUTABLE),
        requirements=len(lines),
        unpinned=tuple(line for line in lines if not _pinned(line)),
    )


def _format(folder: Path) -> str:
    flavors = yaml.safe_load((folder / "MLmodel").read_text()).get("flavors", {})
    return str(flavors.get("sklearn", {}).get("serialization_format", "unknown"))


def _types(model: Path) -> tuple[str, ...]:
    import skops.io  # with scikit-learn, a second that commands which measure nothing need not wait

    return tuple(sorted(skops.io.get_untrusted_types(file=model))) if model.exists() else ()


def _requirements(path: Path) -> list[str]:
    if not path.exists():
        return []
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def _pinned(line: str) -> bool:
    try:
        specifiers = list(Requirement(line).specifier)
    except InvalidRequirement:
        return False
    return len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in str(specifiers[0])
