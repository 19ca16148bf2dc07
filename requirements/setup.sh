#!/bin/sh
# Makes .venv from the lock and touches nothing else. `make` calls this when .venv is missing or the lock changed.
set -eu
cd "$(dirname "$0")/.."
lock=requirements/develop.txt

fail() {
    printf 'set-up: %s\n' "$*" >&2
    exit 1
}

suits() { # A pyenv shim may exist and still refuse to run, so ask instead of looking.
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

for python in ${PYTHON:-python3.11 python3.12 python3 python}; do
    if suits "$python"; then break; fi
done
suits "$python" || fail "needs Python 3.11 or 3.12 (MLServer refuses 3.13), found" \
    "$("${PYTHON:-python3}" -V 2>/dev/null || echo none)." \
    "Install one, or name one: make PYTHON=/path/to/python3.12 …"

if uv --version >/dev/null 2>&1; then uv=yes; else uv=; fi
if [ -z "$uv" ] && ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$python cannot make virtual environments. On Debian and Ubuntu:" \
        "apt-get install python$version-venv"
fi

# The stamp is written last: a .venv without one was left by an interrupted set-up, so it goes.
if [ ! -e .venv/.ready ]; then rm -rf .venv; fi
rm -f .venv/.ready
printf 'set-up: installing the locked packages into .venv (about a minute the first time)\n' >&2
if [ -n "$uv" ]; then
    [ -d .venv ] || uv venv --quiet --python "$python" .venv
    # Compiled now: each command imports mlflow, and who sets PYTHONDONTWRITEBYTECODE would wait for it each time.
    uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes "$lock"
else
    [ -d .venv ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --require-hashes --requirement "$lock"
fi
# The rooms import from anywhere; no build, so nothing to download for one.
pwd >"$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/assay.pth"
touch .venv/.ready
