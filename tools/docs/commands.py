"""The commands of both programs, from their argument parsers: the help text of each, 80 columns wide."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from collector.cli import COMMANDS, full_parser
from tools.docs.markdown import fence, heading
from wal.tools import cli as wal

_COLUMNS: Final = "80"


def parts() -> dict[str, str]:
    """A part for each program."""
    with _plain_terminal():
        return {"commands.collector": _section(_collector()), "commands.wal": _section(_wal())}


def names_of_commands() -> list[str]:
    """Every command with the name of its program, as users type it."""
    return [name for name, _ in [*_collector(), *_wal()]]


def _section(commands: list[tuple[str, argparse.ArgumentParser]]) -> str:
    return "\n\n".join(
        f"{heading(3, name, name.replace(' ', '-'))}\n\n{fence('text', parser.format_help())}"
        for name, parser in commands
    )


def _collector() -> list[tuple[str, argparse.ArgumentParser]]:
    parser = full_parser()
    return [(f"collector {words}", _of(parser, words.split())) for words, _ in COMMANDS]


def _wal() -> list[tuple[str, argparse.ArgumentParser]]:
    parser = wal._parser()
    return [(f"wal {name}", each) for name, each in _subparsers(parser).items()]


def _of(parser: argparse.ArgumentParser, words: list[str]) -> argparse.ArgumentParser:
    for word in words:
        parser = _subparsers(parser)[word]
    return parser


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (action,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(action.choices)


@contextmanager
def _plain_terminal() -> Iterator[None]:
    """Help texts depend on the width of the terminal."""
    with patch.dict(os.environ, COLUMNS=_COLUMNS):
        yield
