"""The commands of `collector` that jobs and previews run, as child processes."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from collector.ops.console.api.refusals import refused
from collector.ops.console.jobs.output import read_output
from wal.files import Files
from wal.folder import logs_at
from wal.tools.listing import end_of_log

_PROGRAM: Final = (
    "import signal, sys\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "try:\n"
    "    signal.pthread_sigmask(signal.SIG_SETMASK, ())\n"
    "    from collector.cli import main\n"
    "    code = main(sys.argv[1:])\n"
    "except KeyboardInterrupt:\n"
    "    code = 130\n"
    "print('{\"exit\":%d}' % code, flush=True)\n"
    "sys.exit(code)\n"
)
"""The admin process blocks signals, also SIGINT, by which a job is stopped, and its children inherit that. A job that
is stopped before its command takes the signal has the exit code that the command would have. The code is printed,
because the process may outlive the one that could wait for it."""
_PREVIEW_SECONDS: Final = 60.0


def command_line(arguments: Sequence[str]) -> list[str]:
    """The command that runs `collector` in this installation."""
    return [sys.executable, "-P", "-c", _PROGRAM, *arguments]


def run_preview(arguments: Sequence[str]) -> Any:
    """Run a dry run to its end; returns its result. Raises Rejected."""
    try:
        done = subprocess.run(  # noqa: S603  no shell, and the program is our own
            command_line((*arguments, "--dry-run")),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PREVIEW_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = (
            f"the preview took over {_PREVIEW_SECONDS:g} s: narrow the selection, or run `collector {arguments[0]}`"
        )
        raise refused("too_much", message) from None
    output = read_output(done.stdout)
    if output.result is None:
        raise refused("failed", output.message or f"the preview ended with {done.returncode}")
    return output.result


def frozen(directory: str) -> tuple[str, ...]:
    """The arguments that leave out what comes later to the logs of a directory. Raises Rejected, WalError, OSError."""
    ends = [
        f"--until-seq={folder.log_id.decode()}={end[0].sequence}"
        for folder in logs_at(Files(), directory)
        if (end := end_of_log(folder))
    ]
    if not ends:
        raise refused("not_found", f"{directory}: there is no log yet")
    return tuple(ends)


def check_arguments(arguments: Sequence[str]) -> None:
    """Raise Rejected for text that no command line can have."""
    try:
        is_bad = any(b"\0" in os.fsencode(argument) for argument in arguments)
    except UnicodeEncodeError:
        is_bad = True
    if is_bad:
        raise refused("bad_body", "expected text without NUL and without lone surrogates")


def json_of(request: object) -> msgspec.Raw:
    """A request as JSON, to be kept with its job."""
    return msgspec.Raw(msgspec.json.encode(request))
