"""Ids of events that clients chose, pure: made to fit where they are no `event_id` as they are."""

from hashlib import blake2b
from typing import Final

from msgspec import UNSET

from collector.ingest.event import Event
from collector.ingest.fields.field_types import LONGEST_EVENT_ID

_DIGEST_BYTES: Final = 16
_INDEX_LENGTH: Final = 6
"""Characters that the index of an event in its batch adds to the key of a request."""


def identify(event: Event, key: str) -> None:
    """Give an event the id that its record has: its own, made fit, else `key`, if that is not empty."""
    if event.event_id is not UNSET:
        event.event_id = event_id(event.event_id)
    elif key:
        event.event_id = key


def event_id(text: str, longest: int = LONGEST_EVENT_ID) -> str:
    """An id of a client as an `event_id`: itself, or its digest if it is too long for one."""
    if 0 < len(text) <= longest and text.isascii() and text.isprintable():
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()


def key_of(header: bytes) -> str:
    """The id in the header `Idempotency-Key`, which may be quoted; empty if there is none."""
    text = header.strip().removeprefix(b'"').removesuffix(b'"').decode("latin-1")
    return event_id(text, LONGEST_EVENT_ID - _INDEX_LENGTH) if text else ""
