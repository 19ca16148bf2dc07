"""`python -m experiments`: train a model from a spec, register the winner."""

import argparse
import logging
import os
import sys
import warnings

from experiments.errors import ExperimentError
from registry.errors import RegistryError


def main(words: list[str] | None = None) -> int:
    """Parse, call, exit."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    training = verbs.add_parser("train", help="train the candidates and register the winner")
    training.add_argument("experiment", help="a shipped experiment, or the path of a YAML file")
    verbs.add_parser("list", help="the experiments that ship")
    options = parser.parse_args(words)
    _quiet()
    try:
        return _train(options.experiment) if options.verb == "train" else _list()
    except (ExperimentError, RegistryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; nothing was registered", file=sys.stderr)
        return 130


def _train(name_or_path: str) -> int:
    from experiments.specfile import find, read

    spec = read(find(name_or_path))
    from experiments.train import train

    outcome = train(spec)
    print(f"\n{outcome.reason.replace('**', '')}")
    print(f"{outcome.name} version {outcome.version} (@candidate, engine {outcome.engine})")
    print(f"next: python -m registry promote {outcome.name}")
    return 0


def _list() -> int:
    from experiments.specfile import find, read, shipped

    for name in shipped():
        print(f"{name:16} {read(find(name)).description}")
    return 0


def _quiet() -> None:
    """Our own progress on the terminal, and of the libraries' words only what matters."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("experiments").setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # we say it in one line
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    sys.exit(main())
