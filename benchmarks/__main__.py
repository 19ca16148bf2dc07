"""`python -m benchmarks`: compare servers of one registered model, or soak one."""

import argparse
import logging
import sys
from pathlib import Path

from benchmarks.errors import BenchmarkError
from registry.errors import RegistryError
from serving.errors import ServingError

QUIET = 0.1  # of the server's core: beyond this, figures say as much about the neighbours
RESULTS = Path(__file__).resolve().parent / "results"


def compare(options: argparse.Namespace) -> int:
    """Compare contenders; 3 where an objective is missed or Assay gave a wrong answer."""
    from benchmarks.compare import FULL, QUICK
    from benchmarks.compare import compare as run
    from benchmarks.report import verdict_line
    from benchmarks.summary import failures, noise, verdicts

    results = run(QUICK if options.quick else FULL, options.output)
    judged = verdicts(results)
    for verdict in judged:
        print(verdict_line(verdict))
    if noise(results) > QUIET:
        print(f"not quiet: other processes took up to {noise(results):.0%} of the server's core")
    wrong = failures(results)
    for name, count in wrong.items():
        print(f"{name}: {count} requests failed or were answered wrongly")
    print(f"written: {options.output / 'comparison.md'}")
    ours = any(name.startswith("Assay") for name in wrong)
    missed = not options.quick and not all(each.holds for each in judged)
    return 3 if ours or missed else 0


def soak(options: argparse.Namespace) -> int:
    """Soak Assay's onnx engine; 3 where an answer was wrong or memory grew."""
    from benchmarks.soak import sentences
    from benchmarks.soak import soak as run

    soaked = run(options.minutes, options.load, options.output)
    for sentence in sentences(soaked):
        print(sentence)
    print(f"written: {options.output / 'soak.md'}")
    return 0 if soaked.holds else 3


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, exit; errors are caught once, here."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = _parser().parse_args(arguments)
    try:
        result: int = options.run(options)
    except (BenchmarkError, RegistryError, ServingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("compare", help="measure all contenders, within ten minutes")
    verb.add_argument("--quick", action="store_true", help="two contenders for seconds: a trial")
    verb.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    verb.set_defaults(run=compare)

    verb = verbs.add_parser("soak", help="hold a share of capacity for minutes")
    verb.add_argument("--minutes", type=float, default=10.0)
    verb.add_argument("--load", type=float, default=0.8, help="share of capacity (0.8)")
    verb.add_argument("--output", type=Path, default=RESULTS, metavar="DIR")
    verb.set_defaults(run=soak)
    return parser


if __name__ == "__main__":
    sys.exit(main())
