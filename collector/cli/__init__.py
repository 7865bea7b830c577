"""The command line `collector`: one table of commands, and one module for each, imported when its command is called.

So `collector --help` imports nothing of the service: 0.04 s of CPU, where importing everything took 0.22 s.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from collector.errors import BadSettings
from wal import __version__
from wal.errors import NoLog, WalError
from wal.tools.terminal import flush_stdout, harmless, open_streams

_DEFAULT_CONFIG: Final = "collector.toml"
COMMANDS: Final = (
    ("serve", "serve until SIGTERM or Ctrl-C"),
    ("check", "check the settings file and print every fault"),
    ("reload", "have the running collector read its settings again, and print what has changed"),
    ("health", "exit with 0 if the node of these settings takes events, else 1"),
    ("sign-url", "sign the destination of a redirect, so that its host need not be listed"),
    ("snippet", "print the tags that a page needs for the tracker"),
    ("count", "count events of the log by their values"),
    ("dead ls", "list dead letters in order of time"),
    ("dead show", "print one dead letter, and the bytes that the client sent"),
    ("redrive", "run dead letters through today's rules; what passes is stored once"),
    ("sink ls", "list sinks: cursor, lag, state and last error"),
    ("sink drop", "release the segments that a removed sink holds"),
    ("replay", "send retained events to a sink once more"),
    ("audit", "compare the log with what its sinks hold, and print what differs"),
    ("relay ls", "list relayed logs: next sequence, last batch and key"),
    ("relay forget", "release a log from its key, and keep its position"),
    ("completion", "print a script that makes a shell complete commands and options"),
)
"""Each command and its help. `dead ls` is in the module dead_ls.py, and so on: see `Command`."""
_GROUPS: Final = {
    "dead": "look at events that were refused, and why",
    "sink": "look at sinks",
    "relay": "look at logs that other nodes ship here",
}
_EPILOG: Final = """\
exit codes: 0 done, 1 an error, 2 a wrong call or no log, 3 a shard or a disk that needs a person,
4 a start that may work later, 130 Ctrl-C, 143 a second SIGTERM. `collector COMMAND --help` has an example of each.

example: collector serve --config collector.toml"""


class Command(Protocol):
    """The two functions of a command's module."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of this command, and set the epilog to an example; `--config` is there already."""

    def run(self, options: argparse.Namespace) -> int:
        """Run the command; returns the exit code. Raises BadSettings, WalError, OSError."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 success, 1 an error, 2 a wrong call or no log, 3 a shard or a disk that needs a person, 4 a start that may work
    later, 130 Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    open_streams()
    try:
        try:
            options = _parser(_called(given)).parse_args(given)
            return command(options.words).run(options)
        finally:
            flush_stdout()
    except KeyboardInterrupt:
        return 130
    except (BadSettings, WalError, OSError) as error:
        for line in str(error).splitlines():
            print(harmless(f"collector: {line}"), file=sys.stderr)
        return 2 if isinstance(error, NoLog) else 1  # as `wal` does


def command(words: str) -> Command:
    """Import the module of a command."""
    name = words.replace(" ", "_").replace("-", "_")
    return cast(Command, import_module(f"collector.cli.{name}"))


def full_parser() -> argparse.ArgumentParser:
    """The parser of all commands with all their arguments. Imports every command."""
    return _parser(frozenset(words for words, _ in COMMANDS))


def _called(given: list[str]) -> frozenset[str]:
    """The command that is called, if any."""
    return frozenset(words for words, _ in COMMANDS if given[: len(words.split())] == words.split())


def _parser(complete: frozenset[str]) -> argparse.ArgumentParser:
    """The parser of all commands, with the arguments of those in `complete`."""
    parser = argparse.ArgumentParser(
        prog="collector",
        description="Take events over HTTP, fsync each before its 200, and ship them exactly once.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"collector {__version__}")
    groups = {"": parser.add_subparsers(required=True, metavar="COMMAND")}
    for words, text in COMMANDS:
        group, _, name = words.rpartition(" ")
        if group not in groups:
            added = groups[""].add_parser(group, help=_GROUPS[group], description=_sentence(_GROUPS[group]))
            groups[group] = added.add_subparsers(required=True, metavar="COMMAND")
        called = groups[group].add_parser(
            name, help=text, description=_sentence(text), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        called.add_argument(
            "--config", metavar="FILE", default=_DEFAULT_CONFIG, help=f"settings file ({_DEFAULT_CONFIG})"
        )
        called.set_defaults(words=words)
        if words in complete:
            command(words).add_arguments(called)
    return parser


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
