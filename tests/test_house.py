"""The house holds together: one set of pins, entry points that run, set-up that fails clearly."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.utils.environment import _PythonEnv
from mlflow.utils.requirements_utils import _parse_requirements

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements" / "develop.txt"
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
# What the onnx engine starts with: scikit-learn and MLflow would cost it seconds and 100 MB.
SERVING_PATH = (
    "registry.artifact",
    "registry.contract",
    "serving.decode",
    "serving.encode",
    "serving.onnx_engine",
    "serving.plane",
)


def pins(lock: Path) -> dict[str, str]:
    """Version, marker and hashes by package."""
    entries = re.split(r"\n(?=[a-z0-9])", lock.read_text())
    found = {}
    for entry in entries:
        name, rest = entry.split("==", 1)
        found[name] = "\n".join(re.findall(r"^[\d.]\S*|--hash=\S+", rest))
    return found


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run one of the house's commands and keep what it says."""
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, **options
    )


# --- one truth for pins ---------------------------------------------------------------------------


def test_mlflow_run_installs_exactly_the_lock() -> None:
    environment = _PythonEnv.from_conda_yaml(ROOT / PROJECT["conda_env"])
    installed = _parse_requirements(environment.dependencies, is_constraint=False, base_dir=ROOT)
    names = {requirement.req_str.split("==")[0] for requirement in installed}
    assert environment.dependencies == ["-r requirements/develop.txt"]
    assert names == set(pins(LOCK))


@pytest.mark.parametrize("engine", ["onnx", "pyfunc"])
def test_an_image_installs_what_the_tests_ran_with(engine: str) -> None:
    everything = pins(LOCK)
    serving = pins(ROOT / "requirements" / f"serve-{engine}.txt")
    assert serving == {name: everything[name] for name in serving}


@pytest.mark.parametrize("lock", ["develop", "serve-onnx", "serve-pyfunc"])
def test_locks_follow_their_sources(lock: str) -> None:
    pinned = pins(ROOT / "requirements" / f"{lock}.txt")
    for line in (ROOT / "requirements" / f"{lock}.in").read_text().splitlines():
        if line.startswith(("#", "-r")):
            continue
        name, _, version = re.sub(r"\[.*?\]", "", line).partition("==")
        assert name in pinned, f"{name}: run `make lock`"
        assert not version or pinned[name].startswith(version), f"{name}: run `make lock`"


# --- commands that exist --------------------------------------------------------------------------


def accepts(command: str) -> None:
    """Fail unless `python -m ROOM VERB --option …` names a real verb and real options."""
    words = shlex.split(re.sub(r"\{\w+\}", "x", command))
    assert words[:2] == ["python", "-m"]
    help_text = run([sys.executable, *words[1:4], "--help"], cwd=ROOT)
    assert help_text.returncode == 0, help_text.stderr
    for option in filter(lambda word: word.startswith("--"), words):
        assert option in help_text.stdout, f"{command}: no {option}"


@pytest.mark.parametrize("name", PROJECT["entry_points"])
def test_entry_points_are_commands_that_exist(name: str) -> None:
    accepts(PROJECT["entry_points"][name]["command"])


def documented(pattern: str) -> set[str]:
    """What the documents' code blocks and inline code say to run."""
    code = "\n".join(
        block
        for document in DOCUMENTS
        for block in re.findall(r"```.*?```|`[^`\n]+`", document.read_text(), re.DOTALL)
    )
    return set(re.findall(pattern, code))


def test_documents_name_only_verbs_that_exist() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    said = documented(r"\bmake ([a-z][a-z-]*)")
    assert {"demo", "test"} <= said <= verbs
    assert len(verbs) <= 10
    assert documented(r"mlflow run \. (?:.*? )?-e (\w+)") <= set(PROJECT["entry_points"])
    for command in sorted(documented(r"python -m (?:experiments|registry|serving) [a-z]+")):
        accepts(command)


SPEC = """\
name: clover
data: {source: clover.csv}
target: lucky
task: binary
split: {kind: stratified}
metric: roc_auc
candidates: {linear: {family: linear}, baseline: {family: dummy}}
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mlflow_run_makes_an_environment_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "clover.yaml").write_text(SPEC)
    leaves = [3 + (n % 7 == 0) for n in range(140)]
    rows = "".join(f"{n},{leaf},{'yes' if leaf == 4 else 'no'}\n" for n, leaf in enumerate(leaves))
    (tmp_path / "clover.csv").write_text(f"field,leaves,lucky\n{rows}")
    tools = Path(sys.executable).parent  # uv is among them
    done = subprocess.run(
        [
            tools / "mlflow",
            "run",
            ROOT,
            "--env-manager",
            "uv",
            "-P",
            f"experiment={tmp_path}/clover.yaml",
        ],
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_ENV_ROOT": str(tmp_path / "environments"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        capture_output=True,
        text=True,
        timeout=580,  # installing everything, and compiling it at the first import
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "clover version 1" in done.stdout
    (environment,) = (tmp_path / "environments").iterdir()
    assert (environment / "bin" / "python").exists()


# --- what must not be there -----------------------------------------------------------------------


def test_the_onnx_path_imports_no_training_library() -> None:
    heavy = {"experiments", "mlflow", "pandas", "scipy", "sklearn", "skops"}
    imports = f"import sys, {', '.join(SERVING_PATH)}; print(*sorted({heavy} & set(sys.modules)))"
    result = run([sys.executable, "-c", imports], cwd=ROOT)
    assert (result.stdout.strip(), result.returncode) == ("", 0), result.stderr


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    hosts = r"\b(pypi|pythonhosted|npmjs|crates|debian|golang)[.](org|io|com)\b"
    paths = r"(?<![\w.}])/(work|root|tmp/lab)/"
    tracked = run(["git", "ls-files"], cwd=ROOT).stdout.splitlines()
    texts = {
        name: (ROOT / name).read_bytes().decode(errors="replace")
        for name in tracked
        if (ROOT / name).is_file()
    }
    assert texts
    assert [name for name, text in texts.items() if re.search(f"{hosts}|{paths}", text)] == []


# --- set-up ---------------------------------------------------------------------------------------

PYTHON_313 = 'case "$1" in -V) echo "Python 3.13.0" ;; *) exit 1 ;; esac'
NO_ENSUREPIP = f'case "$*" in *ensurepip*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout with an empty lock, and a `bin` with the shell's tools but no Python and no uv."""
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "requirements" / "setup.sh", tmp_path / "requirements")
    (tmp_path / "requirements" / "develop.txt").write_text("")
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname", "rm", "touch"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def program(machine: Path, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def set_up(machine: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(machine / "bin"), "HOME": str(machine / "home")}
    return run(["requirements/setup.sh"], cwd=machine, env=environment)


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        pytest.param({}, "found none", id="no Python"),
        pytest.param({"python3": PYTHON_313}, "found Python 3.13.0", id="a Python too new"),
        pytest.param({"python3.11": NO_ENSUREPIP}, "-venv", id="Debian's Python without venv"),
    ],
)
def test_set_up_says_what_is_missing(machine: Path, programs: dict[str, str], said: str) -> None:
    for name, script in programs.items():
        program(machine, name, script)
    result = set_up(machine)
    assert result.returncode == 1
    assert said in result.stderr
    assert not (machine / ".venv").exists()


def test_an_interrupted_set_up_starts_again(machine: Path) -> None:
    program(machine, "python3", f'exec {sys.executable} "$@"')
    program(machine, "uv", 'case "$1" in --version) ;; venv) mkdir .venv ;; *) exit 1 ;; esac')
    (machine / "bin" / "mkdir").symlink_to(str(shutil.which("mkdir")))
    assert set_up(machine).returncode == 1
    assert (machine / ".venv").exists()
    assert not (machine / ".venv" / ".ready").exists()

    (machine / ".venv" / "half").write_text("")
    (machine / "bin" / "uv").unlink()
    assert set_up(machine).returncode == 0
    assert (machine / ".venv" / ".ready").exists()
    assert not (machine / ".venv" / "half").exists()
    assert not (machine / "home").exists(), "set-up writes into this folder only"


def test_the_rooms_import_from_anywhere(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", "import experiments, registry, serving"]
    assert run(command, cwd=tmp_path, env=environment).returncode == 0
