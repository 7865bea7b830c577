"""The `context` of calls of Segment's family, pure: the parts that the event keeps, and those about the visitor."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from collector.ingest.dialects.segment.call import OptionalPart, is_object, members_of
from collector.ingest.fields.field_types import MAX_SID

_SERVER_LIBRARIES: Final = frozenset(
    {
        "@segment/analytics-node",
        "analytics-clojure",
        "analytics-elixir",
        "analytics-go",
        "analytics-java",
        "analytics-node",
        "analytics-php",
        "analytics-python",
        "analytics-ruby",
        "analytics-rust",
        "analytics.net",
        "analytics_elixir",
        "rudder-analytics-php",
        "rudder-analytics-python",
        "rudderanalytics.net",
    }
)
"""`context.library.name` of SDKs for servers, in lower case."""
_LONGEST_SHARED: Final = 32 << 10
"""Bytes of a batch's context: a longer one would cost the first event, which would be too large."""
_SID_DIGITS: Final = len(str(MAX_SID))
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


class CallContext(Struct, frozen=True):
    """The context of one call."""

    part: OptionalPart
    """Without the members that have a place elsewhere. The least of it is without the batch's members."""
    sid: bytes
    """`sessionId`, if it is an integer that we take as one."""
    ip: str | None
    user_agent: str | None
    is_server: bool
    """Whether the library runs on a server."""
    traits: Raw
    """The user's, if they were to be taken out. Those of the batch stay: no single call has paid for them."""


class _Library(Struct, gc=False):
    name: str = ""
    env: str = ""


_decode_library: Final = msgspec.json.Decoder(_Library).decode


class CallContexts:
    """The contexts of one request. The last one is kept: the calls of a batch have mostly the same."""

    def __init__(self, batch: Raw) -> None:
        """`batch`: the context of the batch. If it is not an object, or too long, it is as if there were none."""
        try:
            self._batch = members_of(batch) if len(batch) <= _LONGEST_SHARED else {}
        except msgspec.ValidationError:
            self._batch = {}
        self._batch_bytes = len(batch)
        self._last_key: tuple[Raw, bool, bool] | None = None
        self._last: CallContext

    def of(self, raw: Raw, room: int, *, takes_traits: bool) -> CallContext:
        """The context of a call. Raises ValidationError if it is not an object.

        If the batch's is longer than `room`, only its own places are read: to merge it with each of 2,500 calls would
        take longer than all the rest.
        """
        merges = bool(self._batch) and self._batch_bytes <= room
        key = (raw, takes_traits, merges)
        if key != self._last_key:
            self._last = _read(members_of(raw), self._batch, takes_traits=takes_traits, merges=merges)
            self._last_key = key
        return self._last


def _read(own: dict[str, Raw], batch: dict[str, Raw], *, takes_traits: bool, merges: bool) -> CallContext:
    ip = own.pop("ip", None) or batch.get("ip")
    user_agent = own.pop("userAgent", None) or batch.get("userAgent")
    library = own.get("library") or batch.get("library")
    taken = ["ip", "userAgent"]
    sid = own.get("sessionId") or batch.get("sessionId")
    if sid is not None and _is_sid(sid):
        taken.append("sessionId")
        own.pop("sessionId", None)
    traits = own.get("traits")
    if takes_traits and traits is not None and is_object(traits):
        taken.append("traits")
        own.pop("traits", None)
    least = _part(own)
    whole = _part({name: raw for name, raw in (batch | own).items() if name not in taken}) if merges else least
    return CallContext(
        OptionalPart(whole, least),
        bytes(sid) if sid and "sessionId" in taken else b"",
        _text(ip),
        _text(user_agent),
        library is not None and _is_server(library),
        traits if traits and "traits" in taken else Raw(),
    )


def _part(members: dict[str, Raw]) -> bytes:
    return b',"context":' + _encode(members) if members else b""


def _is_sid(raw: Raw) -> bool:
    digits = bytes(raw)
    return digits.isdigit() and len(digits) <= _SID_DIGITS and int(digits) <= MAX_SID


def _text(raw: Raw | None) -> str | None:
    """A string that is not empty. A value of another type is neither address nor user agent: it is dropped."""
    if raw is None or bytes(raw)[:1] != b'"':
        return None
    return _decode_text(raw) or None


def _is_server(raw: Raw) -> bool:
    """Whether a library runs on a server. That of Jitsu is the same everywhere, and says where it runs."""
    try:
        library = _decode_library(raw)
    except msgspec.ValidationError:
        return False
    return library.env == "node" or library.name.lower() in _SERVER_LIBRARIES
