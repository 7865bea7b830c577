"""The bodies of Segment's family, pure: a batch of calls, or a single call."""

from collections.abc import Generator
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from collector.errors import BadEvent
from collector.ingest.bodies.splitting import batch_in
from collector.ingest.dialects.dialect import LONG_BYTES, MOST_EVENTS, PAUSE, DialectEvent
from collector.ingest.dialects.surrogates import mended
from collector.ingest.event import check_utf8


class CallsInBody(NamedTuple):
    """The calls of a body, and the members that they share."""

    calls: list[bytes]
    is_line: bool
    """Whether the body has no line break."""
    context: Raw = Raw()
    sent_at: Raw = Raw()
    write_key: Raw = Raw()


class _Batch(Struct, gc=False, rename="camel"):
    """The members of a batch that count. The others are about its transport."""

    batch: Raw = Raw()
    context: Raw = Raw()
    sent_at: Raw = Raw()
    write_key: Raw = Raw()


_LF, _CR = b"\n\r"
_decode_batch: Final = msgspec.json.Decoder(_Batch).decode


def read_body(body: bytes, *, is_single: bool) -> Generator[DialectEvent, None, CallsInBody]:
    """Read a body, with a PAUSE if it is long. `is_single`: the path takes a single call only.

    Raises BadEvent, and TooLarge for more than MOST_EVENTS calls.
    """
    check_utf8(body)
    try:
        try:
            return (yield from _read(body, is_single=is_single))
        except msgspec.DecodeError:
            return (yield from _read(mended(body), is_single=is_single))
    except msgspec.DecodeError as error:
        raise BadEvent(f"expected one JSON object, a call or a batch of calls: {error}") from None
    except RecursionError:
        raise BadEvent("the body is nested too deep") from None


def _read(body: bytes, *, is_single: bool) -> Generator[DialectEvent, None, CallsInBody]:
    is_line = _LF not in body and _CR not in body
    batch = _decode_batch(body)
    if is_single or not batch.batch:
        return CallsInBody([body], is_line)
    if len(body) > LONG_BYTES:
        yield PAUSE
    events = batch_in(bytes(batch.batch), MOST_EVENTS, is_ndjson=False)
    if events is None:
        raise BadEvent("batch: expected an array of calls")
    return CallsInBody(events.events, is_line, batch.context, batch.sent_at, batch.write_key)
