"""`collector check`."""

import argparse
import sys

from collector.cli.preflight import load_settings_to_check
from collector.shards.shard import retention_warning


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments, but the example."""
    parser.epilog = "exit code 1: the settings have a fault\n\nexample: collector check --config collector.toml"


def run(options: argparse.Namespace) -> int:
    """Print what the settings hold, if they have no fault."""
    settings = load_settings_to_check(options.config)
    if warning := retention_warning(settings):
        print(f"collector: {warning}", file=sys.stderr)
    print(f"ok: {len(settings.property)} properties, {len(settings.sink)} sinks, {settings.server.workers} workers")
    return 0
