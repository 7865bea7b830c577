"""Writes lines to stderr without waiting for whoever reads it: a log driver that stalls must not stall requests."""

import contextlib
import logging
import os
import select
import sys
import threading
import time
from typing import Final

_PIECE_BYTES: Final = 4096
"""A pipe that can be written takes so much without a wait, and in one piece."""
_MOST_HELD_BYTES: Final = 1 << 20
_LAST_SECONDS: Final = 1.0
"""How long the end of the process waits for stderr."""


class StderrHandler(logging.Handler):
    """Writes at once while stderr takes it, else holds up to 1 MiB for a thread; the rest is left out and counted."""

    def __init__(self) -> None:
        super().__init__()
        self._descriptor = sys.stderr.fileno()
        self._encoding = sys.stderr.encoding
        self._held = bytearray()
        self._left_out = 0
        self._is_draining = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or hold it; the first line after some that were left out has their number."""
        if self._left_out:
            record.left_out = getattr(record, "left_out", 0) + self._left_out
        try:
            line = f"{self.format(record)}\n".encode(self._encoding, "backslashreplace")
        except Exception:
            self.handleError(record)
            return
        if len(self._held) + len(line) > _MOST_HELD_BYTES:
            self._left_out += 1
            return
        self._left_out = 0
        self._held += line
        self._write()
        if self._held and not self._is_draining:
            with contextlib.suppress(RuntimeError):  # no thread can be started now: the next line tries again
                threading.Thread(target=self._drain, name="stderr", daemon=True).start()
                self._is_draining = True

    def flush(self) -> None:
        """Write what is held, within a second. The end of the process calls it, with the lock of this handler."""
        deadline = time.monotonic() + _LAST_SECONDS
        while self._held and self._is_writable(max(0.0, deadline - time.monotonic())):
            self._write()

    def _write(self) -> None:
        while self._held and self._is_writable(0.0):
            piece = self._held[:_PIECE_BYTES]
            end = piece.rfind(b"\n") + 1 or len(piece)
            try:
                del self._held[: os.write(self._descriptor, piece[:end])]
            except OSError:  # nobody reads it any more, or the disk is full
                self._left_out += self._held.count(b"\n")
                self._held.clear()

    def _drain(self) -> None:
        while True:
            self._is_writable(None)
            self.acquire()
            try:
                self._write()
                if not self._held:
                    self._is_draining = False
                    return
            finally:
                self.release()

    def _is_writable(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(None if seconds is None else seconds * 1000))
