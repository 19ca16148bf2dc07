"""Forks commands out of one process that has imported everything and opened nothing.

    python nursery.py          reads one JSON document a line: {"name", "version", "policy",
                               "die_at": n or null, "evidence": file}
                               and prints how each of them ended

Each acts on evidence that was measured before, so that the deciding is what is killed and raced;
who comes second measures anew. With `die_at` the process kills itself with SIGKILL before its nth
change of the store. Lines are started at once; an empty line waits for all of them.
"""

import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import configure_mappers

from registry import policy, promotion, store
from registry.evidence import Evidence
from registry.promotion import Attempt, Request

LATE = (  # MLflow imports these where a store is opened, and no sooner
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
)
WRITES = ("INSERT", "UPDATE", "DELETE")


def die_at(number: int) -> None:
    """Be killed right before the nth change: a file copied, a row written, or its commit."""
    left, written = number, False

    def change() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def copy(name: str, _: tuple[Any, ...]) -> None:
        if name == "shutil.copyfile":
            change()

    @event.listens_for(Engine, "before_cursor_execute")
    def write(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        nonlocal written
        if statement.lstrip().upper().startswith(WRITES):
            written = True
            change()

    @event.listens_for(Engine, "commit")
    def commit(conn: Any) -> None:
        nonlocal written
        if written:
            written = False
            change()

    sys.addaudithook(copy)


def act(order: dict[str, Any]) -> None:
    client = store.connect()
    request = Request(order["name"], policy.read(order["policy"]), version=order["version"])
    if order["die_at"]:
        die_at(order["die_at"])
    attempt = Attempt.begin(client, request)
    chosen, _ = attempt.choose()
    document = Evidence.model_validate_json(Path(order["evidence"]).read_bytes())
    outcome = attempt.idle(chosen, named=True) or attempt.act(chosen, document)
    say((outcome or promotion.promote(client, request)).said)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    for module in LATE:
        importlib.import_module(module)
    configure_mappers()
    children = []
    for line in sys.stdin:
        if line.strip():
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    act(json.loads(line))
                    code = 0
                except Exception:  # noqa: BLE001 - the child ends here, whatever it is
                    traceback.print_exc()
                finally:
                    os._exit(code)
            children.append(child)
            continue
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        children.clear()
        say(json.dumps(ended))


if __name__ == "__main__":
    main()
