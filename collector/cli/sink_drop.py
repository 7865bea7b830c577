"""`collector sink drop`."""

import argparse

from collector.settings import load_settings
from collector.ship.status import drop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sink's name."""
    parser.add_argument("name", metavar="NAME", help="a sink that was taken out of the settings")
    parser.epilog = "example: collector sink drop old"


def run(options: argparse.Namespace) -> int:
    """Drop the cursors of a sink, and print the logs that held segments for it."""
    for directory in drop(load_settings(options.config), options.name):
        print(f"{directory}: holds no segments for {options.name} any more")
    return 0
