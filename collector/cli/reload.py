"""`collector reload`."""

import argparse
import sys

import msgspec

from collector.errors import BadSettings
from collector.server.control_socket import ReloadResponse, connect
from collector.settings import read_settings
from wal.tools.terminal import harmless, prepare_stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments, but the example."""
    parser.epilog = (
        "It waits until all workers have the changed settings. The collector is found by log.dir.\n"
        "exit code 1: refused, with all faults; the earlier settings stay in effect\n\n"
        "example: collector reload --config collector.toml"
    )


def run(options: argparse.Namespace) -> int:
    """Have the running collector read its settings again, and print what has changed."""
    log_dir = read_settings(options.config).settings.log.dir  # the collector itself tells the faults
    prepare_stdout()
    try:
        control = connect(log_dir)
    except OSError as error:
        raise BadSettings(f"no collector runs on {log_dir}: {error.strerror}; start it by `collector serve`") from None
    with control, control.makefile("rb") as responses:
        for line in responses:
            response = msgspec.json.decode(line, type=ReloadResponse)
            stream = sys.stdout if response.is_accepted else sys.stderr
            for text in response.lines:
                print(harmless(text), file=stream, flush=True)
            if response.is_last:
                return 0 if response.is_accepted else 1
    raise BadSettings("the collector ended before the reload did")
