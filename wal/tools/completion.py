"""Scripts that make a shell complete the words of a command line, from its argument parser. `shtab` writes them."""

import argparse
from collections.abc import Iterator
from typing import Final

SHELLS: Final = ("bash", "zsh", "tcsh")


def add_shell(parser: argparse.ArgumentParser) -> None:
    """Add the shell for `script`."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read the script")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell. What a user gives for FILE and DIR is completed as a path."""
    import shtab  # noqa: PLC0415

    kinds = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
    for action in _actions(parser):
        if isinstance(action.metavar, str) and action.metavar in kinds:
            setattr(action, "complete", kinds[action.metavar])  # noqa: B010
    return shtab.complete(parser, shell)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
