"""The events that a dialect reads from a request, without the pauses between them."""

from collector.http.request import RequestHead
from collector.ingest.dialects.dialect import PAUSE, Dialect, DialectEvent


def events_in(dialect: Dialect, head: RequestHead, body: bytes) -> list[DialectEvent]:
    """The events of a request. Raises BadEvent and TooLarge."""
    return [event for event in dialect.events(head, body) if event is not PAUSE]
