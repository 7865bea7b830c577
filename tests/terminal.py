"""A program on a terminal of a given width, and all that it printed there."""

import errno
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

_ROWS = 40


def on_terminal(
    command: Sequence[str], *, width: int = 80, code: int = 0, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program with stdout and stderr on a terminal of `width` columns; return what the terminal got.

    `NO_COLOR` is set unless `environment` has another. Fails unless it exits with `code`.
    """
    variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    variables |= {"TERM": "xterm", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", **(environment or {})}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, width, 0, 0))
    try:
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=variables) as process:
            os.close(theirs)
            printed = _all_of(ours)
        assert process.returncode == code, printed
        return printed.decode().replace("\r\n", "\n")
    finally:
        os.close(ours)


def _all_of(descriptor: int) -> bytes:
    """Everything until the last process closes its end, which the kernel reports as EIO."""
    printed = b""
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            part = b""
        if not part:
            return printed
        printed += part
