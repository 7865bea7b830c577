"""The table of all events of the process log, and the events that stand for what `wal` logs."""

import logging
from typing import Final

from collector.process_log import of_console, of_libraries, of_processes, of_requests, of_shards, of_sinks
from collector.process_log.event import ProcessLogEvent

EVENTS: Final[tuple[type[ProcessLogEvent], ...]] = tuple(
    event
    for module in (of_processes, of_requests, of_shards, of_sinks, of_console, of_libraries)
    for event in vars(module).values()
    if isinstance(event, type) and issubclass(event, ProcessLogEvent) and "text" in vars(event)
)
"""In the order in which a reader meets them."""

_OF_WAL: Final[dict[str, type[ProcessLogEvent]]] = {
    "wal.recovery": of_shards.CursorDamaged,
    "wal.room_watch": of_shards.DiskLow,
    "wal.sealed": of_shards.SegmentsGivenUp,
}
"""The event by the logger. `wal` serves other programs too, and logs plainly; its arguments are the fields."""


def event_of(record: logging.LogRecord) -> ProcessLogEvent:
    """The event that a record of `logging` holds or stands for."""
    if isinstance(record.msg, ProcessLogEvent):
        return record.msg
    try:
        if (event := _OF_WAL.get(record.name)) and isinstance(record.args, tuple):
            return event(*(arg if isinstance(arg, int) else str(arg) for arg in record.args))
        line = record.getMessage()
    except Exception as error:  # else a wrong call of a library would end what it was doing
        line = f"a line that can't be formatted ({type(error).__name__}), from {record.pathname}:{record.lineno}"
    return of_libraries.Library(record.name, line)
