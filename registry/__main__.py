"""`python -m registry`: promote versions with proof, and see what was decided.

Exit codes: 0 done or nothing to do, 1 error, 2 wrong usage, 3 refused by a gate.
"""

import argparse
import logging
import sys

from registry.errors import RegistryError


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, print, exit; errors are caught once, here."""
    options = _parser().parse_args(arguments)
    # MLflow takes seconds to import; help and wrong usage need not wait for it.
    from registry import commands, store

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("registry").setLevel(logging.INFO)
    # MLflow logs a traceback for what it raises as well; it is told in one line below.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    try:
        lines, code = getattr(commands, options.verb)(options)
        for line in lines:
            print(line)
    except RegistryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except store.FAILURES as error:
        print(f"error: {store.explain(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; the next command repairs what is left", file=sys.stderr)
        return 130
    return int(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m registry",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    for word, help_ in (
        ("promote", "measure, decide, and make a version champion"),
        ("evaluate", "measure and judge, and keep the evidence; the champion stays"),
    ):
        verb = verbs.add_parser(word, help=help_, description=help_)
        _name(verb)
        verb.add_argument("--version", type=_number, help="without it: the candidate")
        _policy(verb)
        _switch(verb, "--allow-breaking", "clients of the champion may break")
        _switch(verb, "--allow-dirty", "the code that trained it may be uncommitted")
        _acts(verb)

    verb = verbs.add_parser("rollback", help="make a former champion champion again")
    _name(verb)
    verb.add_argument(
        "--to", type=_number, metavar="VERSION", help="without it: the champion before this one"
    )
    _acts(verb)

    _name(verbs.add_parser("show", help="list versions, and what is champion since when"))
    _name(verbs.add_parser("history", help="who made what champion, over what, when and why"))

    verb = verbs.add_parser("compare", help="score two versions on the same rows")
    _name(verb)
    verb.add_argument("a", type=_number, metavar="A", help="a version")
    verb.add_argument("b", type=_number, metavar="B", help="a version; on its held-out rows")
    _policy(verb)

    verb = verbs.add_parser("whence", help="the chain from git commit to evidence")
    verb.add_argument(
        "what", metavar="WHAT", help="NAME/3, NAME@champion, or part of a digest, run or commit"
    )
    return parser


def _name(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", metavar="NAME", help="a registered model")


def _policy(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--policy", default="default", help="a policy that ships, or a YAML file")


def _acts(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--reason", default="", help="why, for the history")
    _switch(verb, "--dry-run", "say what would come of it, and write nothing")


def _switch(verb: argparse.ArgumentParser, flag: str, help_: str) -> None:
    # `mlflow run -P dry-run=true` can only add `--dry-run true`.
    verb.add_argument(
        flag, nargs="?", type=_yes, const=True, default=False, metavar="true", help=help_
    )


def _yes(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError
    return text == "true"


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
