"""The `context` of calls of Segment's family, pure: what the event keeps of it, and what it tells of the visitor."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from collector.ingest.dialects.segment_call import OptionalPart, is_object, members_of
from collector.ingest.field_types import MAX_SID

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
    """The user's, if they were to be taken out."""


class _Library(Struct, gc=False):
    name: str = ""
    env: str = ""


_decode_library: Final = msgspec.json.Decoder(_Library).decode


class CallContexts:
    """The contexts of one request. The last one is kept: the calls of a batch have mostly the same."""

    def __init__(self, batch: Raw) -> None:
        """`batch`: the context of the batch. If it is no object, or too long, it is as if there were none."""
        try:
            self._batch = members_of(batch) if len(batch) <= _LONGEST_SHARED else {}
        except msgspec.ValidationError:
            self._batch = {}
        self._last_raw = Raw()
        self._last = _read({}, self._batch, takes_traits=False)

    def of(self, raw: Raw, *, takes_traits: bool) -> CallContext:
        """The context of a call. Raises ValidationError if it is no object."""
        if takes_traits:
            return _read(members_of(raw), self._batch, takes_traits=True)
        if raw != self._last_raw:
            self._last = _read(members_of(raw), self._batch, takes_traits=False)
            self._last_raw = raw
        return self._last


def _read(own: dict[str, Raw], batch: dict[str, Raw], *, takes_traits: bool) -> CallContext:
    members = {**batch, **own} if batch else own
    ip, user_agent = _take_text(members, "ip"), _take_text(members, "userAgent")
    sid = members.pop("sessionId") if _is_sid(members.get("sessionId")) else b""
    traits = members.pop("traits") if takes_traits and is_object(members.get("traits", b"")) else Raw()
    whole = _part(members)
    return CallContext(
        OptionalPart(whole, _part({name: raw for name, raw in own.items() if name in members}) if batch else whole),
        bytes(sid),
        ip,
        user_agent,
        _is_server(members.get("library")),
        traits,
    )


def _part(members: dict[str, Raw]) -> bytes:
    return b',"context":' + _encode(members) if members else b""


def _is_sid(raw: Raw | None) -> bool:
    if raw is None:
        return False
    digits = bytes(raw)
    return digits.isdigit() and len(digits) <= _SID_DIGITS and int(digits) <= MAX_SID


def _take_text(members: dict[str, Raw], name: str) -> str | None:
    """Take a string out. A value of another type is no address and no user agent: it is dropped."""
    raw = members.pop(name, None)
    if raw is None or bytes(raw)[:1] != b'"':
        return None
    return _decode_text(raw) or None


def _is_server(raw: Raw | None) -> bool:
    """Whether a library runs on a server. That of Jitsu is the same everywhere, and says where it runs."""
    if raw is None:
        return False
    try:
        library = _decode_library(raw)
    except msgspec.ValidationError:
        return False
    return library.env == "node" or library.name.lower() in _SERVER_LIBRARIES
