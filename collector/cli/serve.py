"""`collector serve`."""

import argparse

from collector.cli.preflight import load_settings_to_serve
from collector.server.start import serve


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add none."""


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    return serve(load_settings_to_serve(options.config), options.config)
