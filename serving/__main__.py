"""`python -m serving`: bundle a version, serve it, ask it, put it into an image."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from serving.errors import ServingError
from serving.process import Ports, command

if TYPE_CHECKING:
    from serving.ask import Asked
    from serving.image import Image


def bundle(options: argparse.Namespace) -> int:
    """Write the bundle of a version."""
    from registry import store, versions
    from serving.pack import pack

    client = store.connect()
    version = versions.resolve(client, options.name, options.version)
    packed = pack(client, version, options.output, options.engine)
    manifest = packed.manifest
    print(
        f"{options.output}: {manifest.model_name} version {manifest.version}, "
        f"{manifest.engine} engine"
    )
    print(f"  model {manifest.model_digest}")
    print(f"next: python -m serving start {options.output}")
    return 0


def start(options: argparse.Namespace) -> int:
    """Become MLServer."""
    from serving.bundle import Bundle

    Bundle(options.folder)  # a clear error now rather than MLServer's later
    ports = Ports(options.http_port, options.grpc_port, options.metrics_port)
    line = command(options.folder)
    os.execve(line[0], line, {**os.environ, **ports.environment(options.host)})  # noqa: S606


def ask(options: argparse.Namespace) -> int:
    """Show what a bundle answers."""
    from serving.ask import ask as ask_bundle
    from serving.bundle import Bundle

    _show(ask_bundle(Bundle(options.folder), options.rows))
    print("The server is stopped. Next:")
    print(f"  python -m serving start {options.folder}    # serve it, then POST to /predict")
    print("  make ui                                     # compare the runs behind it")
    return 0


def image(options: argparse.Namespace) -> int:
    """Build the image of a version."""
    from registry import store
    from serving.image import write_sbom

    built = _build(options)
    print(f"{built.tag}  {built.size_bytes / 1e6:.0f} MB  {built.id}")
    sbom = write_sbom(store.connect(), built)
    print(f"  what is inside: {os.path.relpath(sbom)}, also kept with the version's run")
    version = built.bundle.manifest.version
    print(f"next: python -m serving serve-image {options.name} --version {version}")
    return 0


def serve_image(options: argparse.Namespace) -> int:
    """Serve a version's image inside production's limits, and ask it."""
    from serving.ask import ask_server
    from serving.container import CPUS, MEMORY, engine, running

    built = _build(options)
    ports = Ports(options.http_port, options.grpc_port, options.metrics_port)
    with running(built.tag, ports) as container:
        print(f"{built.tag}: {CPUS} CPU, {MEMORY}, ready after {container.start_seconds:.1f} s")
        _show(ask_server(built.bundle, 8, container.rest, container.grpc))
        print(f"Serving on {container.rest} and {container.grpc} (Ctrl-C stops it)", flush=True)
        engine("wait", container.id)
    return 1  # it ended by itself


def _build(options: argparse.Namespace) -> "Image":
    from registry import store, versions
    from serving.image import build

    client = store.connect()
    version = versions.resolve(client, options.name, options.version)
    return build(client, version, options.wheels, options.engine)


def _show(asked: "Asked") -> None:
    contract_columns = list(asked.rows[0])[:3]
    print(f"{asked.model}, asked for {len(asked.rows)} held-out rows at {asked.url}:")
    header = [*contract_columns, "true", *asked.answers]
    table = [
        [*(row.get(name) for name in contract_columns), actual, *predictions]
        for row, actual, *predictions in zip(
            asked.rows, asked.actual, *asked.answers.values(), strict=True
        )
    ]
    for line in [header, *table]:
        print("  ".join(f"{_shown(cell):>14}" for cell in line))


def _shown(cell: object) -> str:
    return f"{cell:,.0f}" if isinstance(cell, float) else str(cell)


def probe(options: argparse.Namespace) -> int:
    """Print what was measured on a started bundle, as JSON."""
    from serving.bundle import Bundle
    from serving.probe import probe as probe_bundle
    from serving.probe import read_rows

    packed = Bundle(options.folder)
    golden = packed.artifact.golden
    rows = read_rows(options.rows) if options.rows else golden.rows
    expected = json.loads(options.answers.read_bytes()) if options.answers else golden.outputs
    print(probe_bundle(packed, rows, expected).model_dump_json(indent=2))
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, exit; errors are caught once, here."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request that `ask` sends
    options = _parser().parse_args(arguments)
    # Found by name, so that `start` never imports what only `bundle` needs.
    from registry.errors import RegistryError

    try:
        result: int = options.run(options)
    except (ServingError, RegistryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("bundle", help="write a folder that `mlserver start` serves")
    _add_version(verb)
    verb.add_argument("--output", type=Path, required=True, metavar="DIR")
    verb.set_defaults(run=bundle)

    verb = verbs.add_parser("start", help="serve a bundle until it is told to stop")
    verb.add_argument("folder", type=Path, metavar="BUNDLE")
    verb.add_argument("--host", default="127.0.0.1")
    _add_ports(verb)
    verb.set_defaults(run=start)

    verb = verbs.add_parser(
        "ask", help="start a bundle, ask held-out rows over REST and gRPC, stop it"
    )
    verb.add_argument("folder", type=Path, metavar="BUNDLE")
    verb.add_argument("--rows", type=int, default=8)
    verb.set_defaults(run=ask)

    verb = verbs.add_parser("image", help="build the image of a version")
    _add_image(verb)
    verb.set_defaults(run=image)

    verb = verbs.add_parser("serve-image", help="serve a version's image in its limits, and ask it")
    _add_image(verb)
    _add_ports(verb)
    verb.set_defaults(run=serve_image)

    verb = verbs.add_parser("probe", help="start a bundle, measure it on every way in, stop it")
    verb.add_argument("folder", type=Path, metavar="BUNDLE")
    verb.add_argument(
        "--rows", type=Path, help="a Parquet file of rows; the golden rows without it"
    )
    verb.add_argument(
        "--answers", type=Path, help="a JSON file of the answers that these rows must get"
    )
    verb.set_defaults(run=probe)
    return parser


def _add_image(verb: argparse.ArgumentParser) -> None:
    _add_version(verb)
    verb.add_argument("--wheels", type=Path, metavar="DIR", help="install from these; no network")


def _add_version(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", help="a registered model")
    verb.add_argument("--version", type=int, help="a version; the champion without it")
    verb.add_argument(
        "--engine", choices=("onnx", "pyfunc"), help="overrule the version's evidence"
    )


def _add_ports(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--http-port", type=int, default=8080)
    verb.add_argument("--grpc-port", type=int, default=8081)
    verb.add_argument("--metrics-port", type=int, default=8082)


if __name__ == "__main__":
    sys.exit(main())
