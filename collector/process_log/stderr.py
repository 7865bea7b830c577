"""Writes lines to stderr without waiting for whoever reads it: a log driver that stalls must not stall requests.

emit ── short, nothing waits, stderr can be written ──> stderr
  └──── else ──> waiting, up to 1 MiB ── a thread ────> stderr
"""

import contextlib
import logging
import os
import select
import sys
import threading
from collections import deque
from typing import Final, NamedTuple

_SHORT_BYTES: Final = 4096
"""A pipe that can be written takes so much without a wait, and in one piece."""
_MOST_BYTES: Final = 1 << 20
_FIRST_SECONDS: Final = 0.05
"""How long the first line that waits is waited for: a process may be about to end."""
_LAST_SECONDS: Final = 1.0
"""How long the end of the process waits for stderr."""


class _Line(NamedTuple):
    text: bytes
    lines: int
    """The line itself, and those before it that were left out and that it tells of."""


class StderrHandler(logging.Handler):
    """Each line is written, waits for a thread, or is left out; the first line after those has their number."""

    def __init__(self) -> None:
        super().__init__()
        self._descriptor = sys.stderr.fileno()
        self._encoding = sys.stderr.encoding
        self._lock = threading.RLock()  # an exception in a destructor is a line, too, whenever it comes
        self._waiting: deque[_Line] = deque()
        self._waiting_bytes = 0
        self._left_out = 0
        self._is_written = threading.Event()
        """Set while no line waits."""
        self._is_written.set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or have it wait."""
        with self._lock:
            before = getattr(record, "left_out", 0) + self._left_out
            if before:
                record.left_out = before
            try:
                line = _Line(f"{self.format(record)}\n".encode(self._encoding, "backslashreplace"), 1 + self._left_out)
            except Exception:
                self.handleError(record)
                return
            is_first = self._is_written.is_set() and not self._waiting
            if is_first and len(line.text) <= _SHORT_BYTES and self._can_be_written():
                self._left_out = 0
                self._write(line)
                return
            self._wait(line)
        if is_first:
            self._is_written.wait(_FIRST_SECONDS)

    def flush(self) -> None:
        """Wait for the lines that wait, at most a second. The end of the process calls it."""
        self._is_written.wait(_LAST_SECONDS)

    def _wait(self, line: _Line) -> None:
        if self._waiting_bytes + len(line.text) > _MOST_BYTES:
            self._left_out += 1
            return
        self._left_out = 0
        self._waiting.append(line)
        self._waiting_bytes += len(line.text)
        if self._is_written.is_set():
            with contextlib.suppress(RuntimeError):  # no thread can be started now: the next line tries again
                threading.Thread(target=self._write_all, name="stderr", daemon=True).start()
                self._is_written.clear()

    def _write_all(self) -> None:
        """Write what waits. Blocks, without the lock."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_written.set()
                    return
                line = self._waiting.popleft()
                self._waiting_bytes -= len(line.text)
            self._write(line)

    def _write(self, line: _Line) -> None:
        text = line.text
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except OSError:  # nobody reads it any more, or the disk is full
            with self._lock:
                self._left_out += line.lines

    def _can_be_written(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        try:
            return bool(poll.poll(0))
        except OSError:  # the process may have no descriptor at all for now
            return False
