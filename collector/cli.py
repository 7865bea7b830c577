"""`collector`: serve, and check the settings."""

import argparse
import sys
from collections.abc import Callable, Sequence

from collector.config import Settings, load_settings
from collector.errors import BadSettings
from collector.server import serve

_DEFAULT_CONFIG = "collector.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for what went wrong, 2 for a wrong call, 3 for a bad shard."""
    options = _parser().parse_args(arguments)
    run: Callable[[Settings], int] = options.run
    try:
        return run(load_settings(options.config))
    except (BadSettings, OSError) as error:
        print(f"collector: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="collector", description="Takes events over HTTP, fsyncs each before its 200, and ships them exactly once."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("serve", serve, "serve until SIGTERM or Ctrl-C"),
        ("check", _check, "check the settings file, and say what is wrong in it"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--config", metavar="FILE", default=_DEFAULT_CONFIG, help=f"the settings ({_DEFAULT_CONFIG})"
        )
        command.set_defaults(run=run)
    return parser


def _check(settings: Settings) -> int:
    print(f"ok: {len(settings.property)} properties, {len(settings.sink)} sinks, {settings.server.workers} workers")
    return 0
