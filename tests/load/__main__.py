"""`python -m tests.load`: load a served bundle, judge it, say how much it carries."""

import argparse
import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from registry.errors import RegistryError
from serving.bundle import Bundle
from serving.errors import ServingError
from tests.load import ceiling as ceilings
from tests.load import load_profile, report
from tests.load.errors import LoadTestError
from tests.load.figures import measure as measure_figures
from tests.load.run import run
from tests.load.targets import Target, own_container, own_process, running_server

MET, BROKEN, MISSED = 0, 1, 3


def load(options: argparse.Namespace) -> int:
    """Run one profile."""
    bundle = Bundle(options.bundle)
    profile = load_profile.read(options.profile)
    output = options.output or Path("build/load") / f"{bundle.manifest.model_name}-{profile.name}"
    print(f"{profile.name}: {profile.seconds:.0f} s at most", flush=True)
    with _target(options, bundle) as target:
        result = run(bundle, profile, target, output)
    report.write(result, output)
    for line in report.summary(result):
        print(line)
    print(f"see {output}/{report.PLOT}, {output}/report.html, {output}/{report.TABLE}")
    if options.record:
        from tests.load.record import record

        print(record(result, output))
    return MET if result.verdict.met else MISSED


def ceiling(options: argparse.Namespace) -> int:
    """Measure Locust itself."""
    for name, result in ceilings.measure(Bundle(options.bundle), options.profile):
        (stage,) = result.verdict.stages
        failed = f", {stage.summary.failed} failed" if stage.summary.failed else ""
        print(f"{name}: {stage.summary.rate:.0f} requests a second{failed}", flush=True)
    return MET


def figures(options: argparse.Namespace) -> int:
    """Measure what docs/capacity.md says."""
    for line in measure_figures([Bundle(each) for each in options.bundles], options.image):
        print(line, flush=True)
    return MET


def _target(options: argparse.Namespace, bundle: Bundle) -> AbstractContextManager[Target]:
    if options.image:
        return own_container(options.image)
    if options.host:
        return nullcontext(
            running_server(options.host, options.grpc, options.container, options.pid)
        )
    return own_process(bundle)


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, exit; errors are caught once, here."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    options = _parser().parse_args(arguments)
    try:
        result: int = options.run(options)
    except (LoadTestError, ServingError, RegistryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BROKEN
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("run", help="load a server as a profile says; exit 3 when it misses")
    verb.add_argument("bundle", type=Path, metavar="BUNDLE")
    verb.add_argument("profile", help="a shipped profile, or a .yaml file")
    server = verb.add_mutually_exclusive_group()
    server.add_argument("--image", help="serve this image of the bundle, inside the limits")
    server.add_argument("--host", help="a running server of the bundle; else one is started")
    verb.add_argument("--grpc", help="its HOST:PORT for gRPC; port 8081 of the host without it")
    seen = verb.add_mutually_exclusive_group()
    seen.add_argument("--container", help="the container --host is in, to see what it uses")
    seen.add_argument("--pid", type=int, help="or its process")
    verb.add_argument("--output", type=Path, metavar="DIR")
    verb.add_argument(
        "--record", action="store_true", help="keep the capacity with the version, for promotion"
    )
    verb.set_defaults(run=load)

    verb = verbs.add_parser("ceiling", help="how many requests Locust itself can send and check")
    verb.add_argument("bundle", type=Path, metavar="BUNDLE")
    verb.add_argument("profile", nargs="?", default="capacity", help="whose mix is asked")
    verb.set_defaults(run=ceiling)

    verb = verbs.add_parser("figures", help="write docs/capacity.md anew: half an hour, all alone")
    verb.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    verb.add_argument(
        "--image", action="append", default=[], help="of each bundle; processes without it"
    )
    verb.set_defaults(run=figures)
    return parser


if __name__ == "__main__":
    sys.exit(main())
