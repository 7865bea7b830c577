"""`collector serve`."""

import argparse
import signal
from functools import partial

from collector.cli.preflight import load_settings_to_serve
from collector.server.start import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments, but the example."""
    parser.epilog = (
        "exit codes: 0 stopped by SIGTERM or Ctrl-C, 1 a wrong setting, 3 a shard or a disk that needs a person,\n"
        "4 an address that is taken, or another failure that may pass, so that a restart may help,\n"
        "130 and 143 killed by a second Ctrl-C or SIGTERM\n\n"
        "example: collector serve --config collector.toml"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # it would end this process until the supervisor takes it
    config = options.config
    return serve(load_settings_to_serve(config), config, partial(load_settings_to_serve, config))
