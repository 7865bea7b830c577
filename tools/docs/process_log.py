"""The events of the process log, and for each page of the runbook the events that name it."""

import logging
from collections.abc import Iterator
from typing import Final

from msgspec.structs import fields

from collector.process_log.event import ProcessLogEvent, name_of
from collector.process_log.table import EVENTS
from tools.docs.alerts import rules
from tools.docs.markdown import fence, heading

_OWN_LEVEL: Final = {"library"}
"""Events that are written at the level of the line that they hold."""


def parts() -> dict[str, str]:
    """All events, and a list for each page of the runbook that an event names."""
    named = {f"process-log.{page}": _list(page, list(events)) for page, events in by_page().items()}
    return {"process-log.all": "\n\n".join(map(_entry, EVENTS)), **named}


def by_page() -> dict[str, list[type[ProcessLogEvent]]]:
    """The events by the page of the runbook that they name."""
    pages: dict[str, list[type[ProcessLogEvent]]] = {}
    for event in EVENTS:
        if event.page:
            pages.setdefault(event.page, []).append(event)
    return pages


def _list(page: str, events: list[type[ProcessLogEvent]]) -> str:
    links = ", ".join(f"[`{name_of(event)}`](../reference/process-log.md#{name_of(event)})" for event in events)
    return f"{'' if page in rules() else 'No alert: the process log tells of it. '}Events: {links}."


def _entry(event: type[ProcessLogEvent]) -> str:
    return "\n\n".join(
        [
            heading(3, name_of(event)),
            " · ".join(_facts(event)),
            " ".join((event.__doc__ or "").split()),
            fence("text", event.text),
        ]
    )


def _facts(event: type[ProcessLogEvent]) -> Iterator[str]:
    yield "level of the library" if name_of(event) in _OWN_LEVEL else logging.getLevelName(event.level)
    names = ", ".join(f"`{field.name}`" for field in fields(event))
    yield f"fields: {names}" if names else "no fields"
    if event.is_lasting:
        yield "once a minute while it lasts"
    yield f"[{event.page}](../runbook/{event.page}.md)" if event.page else "no page of the runbook"
