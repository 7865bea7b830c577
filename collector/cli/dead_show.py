"""`collector dead show`."""

import argparse
import json
import sys

from collector.dead_letters.reader import DeadLetter, members_to_show, read_letters
from collector.errors import BadSettings
from collector.settings import load_settings
from wal.tools.select import Selection
from wal.tools.terminal import harmless, prepare_stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the id."""
    parser.add_argument("id", metavar="ID", help="as printed by `collector dead ls`")
    parser.epilog = "exit code 1: there is no such dead letter\n\nexample: collector dead show 3f9c2a7100112233-17"


def run(options: argparse.Namespace) -> int:
    """Print one dead letter: its members, then the body."""
    settings = load_settings(options.config)
    prepare_stdout()
    for dead_letter in read_letters(settings.dead_letters.dir, Selection()):
        if dead_letter.record.id == options.id:
            _print(dead_letter)
            return 0
    raise BadSettings(f"no dead letter {options.id} in {settings.dead_letters.dir}; `collector dead ls` lists them")


def _print(dead_letter: DeadLetter) -> None:
    """A pipe gets the bytes of the body unchanged, a terminal no character that would control it."""
    print(harmless(json.dumps(members_to_show(dead_letter.record), indent=2), keep="\n"), flush=True)
    if sys.stdout.isatty():
        print(harmless(dead_letter.body.decode("utf-8", "backslashreplace"), keep="\n\t"))
    else:
        sys.stdout.buffer.write(dead_letter.body + b"\n")
