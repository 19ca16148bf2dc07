"""`python -m experiments train NAME_OR_PATH`."""

import argparse
import logging
import os
import sys

from experiments.errors import ExperimentError
from registry.errors import RegistryError


def main() -> int:
    """Parse, train, say what happened."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    training = verbs.add_parser("train", help="train, compare and register")
    training.add_argument("experiment", help="a shipped experiment's name or a path to a YAML file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from experiments.spec import read
    from experiments.train import train

    try:
        spec = read(arguments.experiment)
        version = train(spec)
    except (ExperimentError, RegistryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{spec.name} version {version} registered; next: python -m registry promote {spec.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
