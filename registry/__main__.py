"""`python -m registry`: move versions, with proof."""

import argparse
import sys

from registry import store, versions
from registry.errors import RegistryError


def promote(name: str, number: int | None) -> int:
    """Point `champion` to the version, or to the candidate."""
    client = store.connect()
    version = versions.resolve(client, name, number, versions.CANDIDATE)
    client.set_registered_model_alias(name, versions.CHAMPION, str(version.number))
    print(f"{name} version {version.number} is champion")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, exit."""
    parser = argparse.ArgumentParser(prog="python -m registry", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    command = verbs.add_parser("promote")
    command.add_argument("name")
    command.add_argument("--version", type=int)
    options = parser.parse_args(arguments)
    try:
        return promote(options.name, options.version)
    except RegistryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
