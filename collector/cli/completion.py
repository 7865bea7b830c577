"""`collector completion`."""

import argparse

from collector.cli import full_parser
from wal.tools.completion import add_shell, script


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shell."""
    add_shell(parser)
    parser.epilog = "example, in ~/.bashrc: source <(collector completion bash)"


def run(options: argparse.Namespace) -> int:
    """Print the script for a shell."""
    print(script(full_parser(), options.shell))
    return 0
