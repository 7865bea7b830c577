"""Sets up the process log of this process: everything that would reach stderr becomes a line of it."""

import logging
import sys
import threading
from types import TracebackType
from typing import Final, Literal

from collector.process_log.lines import JsonLines, TextLines
from collector.process_log.of_libraries import Uncaught
from collector.process_log.repeats import Repeats
from collector.process_log.stderr import StderrHandler

Format = Literal["text", "json"]
Level = Literal["info", "warning", "error", "critical"]

_LINES: Final = {"text": TextLines, "json": JsonLines}


def set_up(line_format: Format, level: Level) -> None:
    """Write lines of this format, from this level on, to stderr. Also warnings and exceptions that nothing caught."""
    earlier = [handler for handler in logging.root.handlers if isinstance(handler, StderrHandler)]
    handler = earlier[0] if earlier else StderrHandler()  # of an earlier call lines may wait
    handler.setFormatter(_LINES[line_format]())
    handler.filters = [Repeats()]
    logging.root.handlers = [handler]
    logging.root.setLevel(level.upper())
    # its warnings are about malformed HTTP, so any client could fill the disk with them
    logging.getLogger("uvicorn.error").setLevel(max(logging.ERROR, logging.root.level))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda found: Uncaught().write(found.exc_value or False)
    threading.excepthook = lambda found: Uncaught().write(found.exc_value or False)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        Uncaught().write(error)
