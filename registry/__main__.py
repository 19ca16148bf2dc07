"""`python -m registry`: promote versions with proof, and see what was decided.

Exit codes: 0 done or nothing to do, 1 error, 2 wrong usage, 3 refused by a gate.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from registry import champion, comparison, lineage, policy, promotion, store, terminal, versions
from registry.errors import RegistryError
from registry.gates import Permission
from registry.ledger import LONGEST_REASON, Ledger
from registry.promotion import Outcome, Request
from registry.rollback import rollback

REFUSED = 3


def promote(client: MlflowClient, options: argparse.Namespace) -> int:
    """Measure, decide, and make the version champion."""
    return _report(promotion.promote(client, _request(options)))


def evaluate(client: MlflowClient, options: argparse.Namespace) -> int:
    """Measure and judge, and keep the evidence; the champion stays."""
    return _report(promotion.evaluate(client, _request(options)))


def roll_back(client: MlflowClient, options: argparse.Namespace) -> int:
    """Make a former champion champion again."""
    return _report(
        rollback(client, options.name, options.to, reason=options.reason, dry_run=options.dry_run)
    )


def show(client: MlflowClient, options: argparse.Namespace) -> int:
    """List the versions of a model, and what is champion since when."""
    state = champion.look(client, Ledger(client, options.name))
    every = versions.every(client, options.name)
    _print(terminal.shown(options.name, every, state.head, state.left))
    return 0


def history(client: MlflowClient, options: argparse.Namespace) -> int:
    """Tell who made what champion, over what, when and why."""
    entries = Ledger(client, options.name).entries()
    if not entries:
        print(f"no version of {options.name!r} has been promoted")
        return 0
    _print(terminal.history(entries))
    return 0


def compare(client: MlflowClient, options: argparse.Namespace) -> int:
    """Score two versions on the same rows."""
    found = comparison.compare(client, options.name, options.a, options.b, policy.read())
    _print(terminal.compared(found))
    return 0


def whence(client: MlflowClient, options: argparse.Namespace) -> int:
    """Print the chain from git commit to evidence."""
    for number, chain in enumerate(lineage.whence(client, options.what)):
        if number:
            print()
        _print(terminal.chain(chain))
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, exit; errors are caught once, here."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("registry").setLevel(logging.INFO)
    # MLflow logs a traceback for what it raises as well; it is told in one line below.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    try:
        run: Callable[[MlflowClient, argparse.Namespace], int] = options.run
        return run(store.connect(), options)
    except RegistryError as error:
        print(f"error: {error}", file=sys.stderr)
    except (MlflowException, requests.RequestException, OSError) as error:
        print(f"error: {store.explain(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted; the next command repairs what is left", file=sys.stderr)
    return 1


def _request(options: argparse.Namespace) -> Request:
    allowed: set[Permission] = set()
    if options.allow_breaking:
        allowed.add("breaking")
    if options.allow_dirty:
        allowed.add("dirty")
    return Request(
        name=options.name,
        policy=policy.read(options.policy),
        version=options.version,
        allowed=frozenset(allowed),
        reason=options.reason,
        dry_run=options.dry_run,
    )


def _report(outcome: Outcome) -> int:
    _print(terminal.outcome(outcome))
    return REFUSED if outcome.result == "refused" else 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m registry", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("name", metavar="NAME", help="a registered model")
    acts = argparse.ArgumentParser(add_help=False)
    acts.add_argument("--reason", type=_reason, default="", help="why, for the history")
    acts.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
    judges = argparse.ArgumentParser(add_help=False)
    judges.add_argument("--version", type=_positive, help="the candidate without it")
    judges.add_argument("--policy", default=policy.DEFAULT, help="a shipped policy, or a YAML file")
    judges.add_argument(
        "--allow-breaking", action="store_true", help="clients of the champion may break"
    )
    judges.add_argument(
        "--allow-dirty", action="store_true", help="the code that trained it may be uncommitted"
    )

    def verb(
        word: str,
        run: Callable[[MlflowClient, argparse.Namespace], int],
        *parents: argparse.ArgumentParser,
    ) -> argparse.ArgumentParser:
        made = verbs.add_parser(word, parents=parents, help=run.__doc__, description=run.__doc__)
        made.set_defaults(run=run)
        return made

    verb("promote", promote, name, judges, acts)
    verb("evaluate", evaluate, name, judges, acts)
    verb("rollback", roll_back, name, acts).add_argument(
        "--to", type=_positive, metavar="VERSION", help="the champion before this one without it"
    )
    verb("show", show, name)
    verb("history", history, name)
    pair = verb("compare", compare, name)
    pair.add_argument("a", type=_positive, metavar="A", help="a version")
    pair.add_argument("b", type=_positive, metavar="B", help="a version; its rows are used")
    verb("whence", whence).add_argument(
        "what", metavar="WHAT", help="NAME/3, NAME@champion, or part of a digest, run or commit"
    )
    return parser


def _reason(text: str) -> str:
    if len(text) > LONGEST_REASON:
        raise argparse.ArgumentTypeError(f"at most {LONGEST_REASON} characters")
    return text


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
