"""`collector reload`."""

import argparse
import contextlib
import os
import socket
import sys

import msgspec

from collector.errors import BadSettings
from collector.server.control_socket import Greeting, ReloadResponse, connect
from collector.settings import read_settings
from wal.tools.terminal import harmless, prepare_stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments, but the example."""
    parser.epilog = (
        "It waits until all workers have the changed settings. The collector is found by log.dir,\n"
        "and must run with this settings file.\n"
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
    with control, contextlib.suppress(msgspec.DecodeError, ConnectionError):  # of a supervisor that is killed
        if (exit_code := _reload(control, options.config, log_dir)) is not None:
            return exit_code
    raise BadSettings("the collector ended before the reload did")


def _reload(control: socket.socket, config: str, log_dir: str) -> int | None:
    """Have the collector reload, and print the responses; returns the exit code, None if the last one is missing.

    Raises BadSettings if another collector answers, DecodeError for half a line, ConnectionError.
    """
    with control.makefile("rb") as responses:
        if not (greeting := responses.readline()):
            return None
        _refuse_another(msgspec.json.decode(greeting, type=Greeting).settings, config, log_dir)
        control.send(b"\n", socket.MSG_NOSIGNAL)  # SIGPIPE would end this program without a word
        for line in responses:
            response = msgspec.json.decode(line, type=ReloadResponse)
            stream = sys.stdout if response.is_accepted else sys.stderr
            for text in response.lines:
                print(harmless(text), file=stream, flush=True)
            if response.is_last:
                return 0 if response.is_accepted else 1
    return None


def _refuse_another(settings: str, config: str, log_dir: str) -> None:
    """Raise BadSettings if the collector that answers runs with another settings file."""
    own = os.path.abspath(config)
    if settings != harmless(own) and os.path.realpath(settings) != os.path.realpath(own):
        raise BadSettings(
            f"the collector that answers for {log_dir} runs with {settings}, not with {own}: nothing is reloaded; "
            "name its file by --config, or send SIGHUP to the one that runs with yours"
        )
