"""The base of all events of the process log.

An event is a frozen struct. Its docstring is its meaning, its fields are members of the JSON line. `page` is the page
of the runbook that says what to do, or None if there is nothing to do.

    class WorkerDied(ProcessLogEvent, frozen=True):
        \"\"\"A worker process ended and nobody had asked it to.\"\"\"

        level = logging.ERROR
        page = "TracklogWorkerRestarts"
        text = "worker {worker_pid} died: {cause}"
        worker_pid: int
        cause: str

    WorkerDied(4711, "SIGKILL").write()
"""

import logging
import re
import string
from typing import Any, ClassVar, Final

from msgspec import Struct
from msgspec.structs import asdict

from wal.tools.terminal import harmless

_LOGGER: Final = logging.getLogger("collector")
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class ProcessLogEvent(Struct, frozen=True):
    """A fact for the process log. `str` makes its message: one line, safe for a terminal."""

    level: ClassVar[int] = logging.WARNING
    page: ClassVar[str | None] = None
    text: ClassVar[str]
    """The message. `{name}` is a field, `{count:worker}` is "1 worker" or "2 workers"."""
    is_lasting: ClassVar[bool] = False
    """Whether it is logged again and again while a fault lasts: the same message is then written once a minute."""

    def __str__(self) -> str:
        return harmless(self.message())

    def message(self) -> str:
        """The text with its fields, which may hold characters that a terminal obeys."""
        return _TEXTS.vformat(self.text, (), asdict(self))

    def write(self, exc_info: BaseException | bool = False) -> None:
        """Log the event, with the traceback of an exception, or with True of the one that is being handled."""
        _LOGGER.log(self.level, self, exc_info=exc_info)


def name_of(event: type[ProcessLogEvent]) -> str:
    """The stable name of an event: `worker_died` for WorkerDied."""
    return _CAPITAL.sub("_", event.__name__).lower()


class _Texts(string.Formatter):
    """Formats texts: lists with commas, counts by name as `4 (the log is full)`, and numbers with a noun."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.isalpha() and len(format_spec) > 1:
            return f"{value} {format_spec}" + ("s" if value != 1 else "")
        if isinstance(value, dict):
            return ", ".join(f"{number} ({name})" for name, number in value.items())
        if isinstance(value, tuple):
            return ", ".join(map(str, value))
        return str(super().format_field(value, format_spec))


_TEXTS: Final = _Texts()
