"""Addresses and user agents inside an event, pure: reduced by a property's `ip` and `user_agent` settings.

A member is known by its name, ignoring case and separators, in the event and in the objects below, `_LEVELS` deep;
arrays are left alone. An object that is searched is written anew, so that only the last of repeated members is kept:
the first could hide an address. All other values stay byte for byte. If refused bytes can't be parsed as events, none
are kept, because the names in them are unknown.

The cost is linear in the bytes: the objects of a level are decoded and encoded together, every level once. The other
costs are bounded: the bytes of an event, the events of a batch, the pairs of a query, the addresses that are read.
"""

import re
from functools import partial
from typing import Final, Literal
from urllib.parse import quote_from_bytes

import msgspec
from msgspec import Raw

from collector.dead_letters.writer import Form
from collector.errors import UNDECODABLE, BadEvent, TooLarge
from collector.ingest.bodies.splitting import batch_in
from collector.ingest.event import check_utf8
from collector.ingest.policy.client_address import kept_address
from collector.ingest.query import MOST_PAIRS, unescaped
from collector.settings.tables import LARGEST_EVENT

IpRule = Literal["full", "truncate", "drop"]

ADDRESSES: Final = frozenset(
    b"ip ips ipaddr ipaddress ipv4 ipv4address ipv6 ipv6address uip cip clientip clientipaddress clientaddress "
    b"userip useripaddress visitorip customerip deviceip publicip externalip localip internalip sourceip "
    b"sourceaddress remoteip remoteaddr remoteaddress requestip realip xrealip lastip trueclientip httpclientip "
    b"xclientip cfconnectingip peerip netpeerip networkpeeraddress forwardedfor xforwardedfor contextip "
    b"contextipaddress".split()
)
"""Names of members with addresses, in lower case and without separators."""
USER_AGENTS: Final = frozenset(
    b"ua uadata uastring useragent useragentdata useragentoriginal useragentstring rawuseragent httpuseragent "
    b"clientuseragent browseruseragent deviceuseragent contextuseragent".split()
)
"""Names of members with user agents, likewise."""

_LEVELS: Final = 4
"""`context.request.headers.user-agent` is on the fourth level; clients nest no deeper."""
_MOST_EVENTS: Final = 10_000
"""The largest `limits.batch_events` that settings allow."""
_MOST_ADDRESSES: Final = 16
"""Addresses of a level that are truncated, at some 5 us each. Further ones are removed: no client sends so many."""
_BRACE: Final = ord("{")
_QUOTE: Final = ord('"')
_BEGINNINGS: Final = (b"{", b"[")
_LOWER: Final = bytes(range(256)).lower()
_SEPARATORS: Final = b"_-. $"
_BOTH: Final = ADDRESSES | USER_AGENTS
_NONE: Final[frozenset[bytes]] = frozenset()
_ESCAPED: Final = re.compile(rb"\\u00[2-7]")
"""An escape that a name may contain; the names are ASCII."""
_encode: Final = msgspec.json.encode
_decode_any: Final = msgspec.json.Decoder(Raw).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_objects: Final = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def scrub(event: bytes, ip: IpRule, *, keeps_user_agent: bool) -> bytes:
    """The event as it may be stored; never longer. The same bytes if no member has such a name."""
    stripped = _stripped(ip, keeps_user_agent=keeps_user_agent)
    return _scrubbed(event, ip, stripped, _LEVELS) if stripped and _may_name(event, stripped) else event


def scrub_raw(raw: bytes, form: Form, ip: IpRule, *, keeps_user_agent: bool, is_element: bool = False) -> bytes:
    """Scrub the refused bytes of a request for its dead letter: an event, a batch, a query or a form.

    `is_element`: `raw` is one event of a batch. Returns b"" if nothing may be kept, because the bytes can't be parsed
    or exceed the bounds above.
    """
    stripped = _stripped(ip, keeps_user_agent=keeps_user_agent)
    if not stripped:
        return raw
    if form in (Form.QUERY, Form.FORM):
        return _query(raw, ip, stripped)
    scrub_one = partial(_refused, ip=ip, stripped=stripped, levels=_LEVELS)
    is_ndjson = form is Form.NDJSON
    try:
        batch = None if is_element else batch_in(raw, _MOST_EVENTS, is_ndjson=is_ndjson)
    except (BadEvent, TooLarge):
        return b""
    if batch is None:
        return scrub_one(raw) or b""
    kept = list(filter(None, map(scrub_one, batch.events)))
    return b"\n".join(kept) if is_ndjson or not kept else b"[%b]" % b",".join(kept)


def _stripped(ip: IpRule, *, keeps_user_agent: bool) -> frozenset[bytes]:
    """The names of members that are not stored as sent."""
    if ip == "full":
        return _NONE if keeps_user_agent else USER_AGENTS
    return ADDRESSES if keeps_user_agent else _BOTH


def _may_name(text: bytes, names: frozenset[bytes]) -> bool:
    """Whether a member may have one of the names: False if none occurs between quotes, plain or escaped."""
    between_quotes = text.translate(_LOWER, _SEPARATORS).split(b'"')
    return not names.isdisjoint(between_quotes) or (b"\\u00" in text and _ESCAPED.search(text) is not None)


def _refused(event: bytes, ip: IpRule, stripped: frozenset[bytes], levels: int) -> bytes | None:
    """A refused event, or a JSON value in it, as it may be kept; None if nothing may be kept.

    Of an event over LARGEST_EVENT nothing is kept. A text is not an event: it may be a query, with names of its own.
    """
    if len(event) > LARGEST_EVENT or event.lstrip()[:1] == b'"' or not _is_json(event):
        return None
    return _scrubbed(event, ip, stripped, levels) if _may_name(event, stripped) else event


def _is_json(text: bytes) -> bool:
    try:
        check_utf8(text)
        _decode_any(text)
    except (*UNDECODABLE, BadEvent):
        return False
    return True


def _scrubbed(event: bytes, ip: IpRule, stripped: frozenset[bytes], levels: int) -> bytes:
    """A JSON object with the members named in `stripped` removed or truncated; other bytes as they are."""
    try:
        members = _decode_members(event)
    except UNDECODABLE:
        return event
    _strip([members], ip, stripped, levels)
    return _encode(members)


def _strip(objects: list[dict[str, Raw]], ip: IpRule, stripped: frozenset[bytes], levels: int) -> None:
    """Remove or truncate these members in all objects of one level, and in the objects below."""
    _strip_members(objects, ip, stripped)
    if levels == 1:
        return
    places = [
        (members, name) for members in objects for name, value in members.items() if memoryview(value)[0] == _BRACE
    ]
    nested = b",".join([members[name] for members, name in places])
    if not _may_name(nested, stripped):
        return
    below = _decode_objects(b"[%b]" % nested)
    _strip(below, ip, stripped, levels - 1)
    for (members, name), value in zip(places, _decode_array(_encode(below)), strict=True):
        members[name] = value


def _strip_members(objects: list[dict[str, Raw]], ip: IpRule, stripped: frozenset[bytes]) -> None:
    names = [name for members in objects for name in members]
    folded = _folded(names)
    if stripped.isdisjoint(folded):
        return
    owners = [members for members in objects for _ in members]
    found = [member for member in zip(owners, names, folded, strict=True) if member[2] in stripped]
    left = _MOST_ADDRESSES
    for members, name, known_as in found:
        address = None
        if known_as in ADDRESSES and left:
            left -= 1
            address = kept_address(_text(members[name]), ip)
        if address is None:
            del members[name]
        else:
            members[name] = Raw(_encode(address))


def _folded(names: list[str]) -> list[bytes]:
    """The names as in the lists above. Folding all together takes a quarter of the time of one after the other."""
    folded = "\0".join(names).encode().translate(_LOWER, _SEPARATORS).split(b"\0")
    return folded if len(folded) == len(names) else [name.encode().translate(_LOWER, _SEPARATORS) for name in names]


def _text(value: Raw) -> str | None:
    return _decode_text(value) if memoryview(value)[0] == _QUOTE else None


def _query(query: bytes, ip: IpRule, stripped: frozenset[bytes]) -> bytes:
    """A query or a form as it may be kept: without the values that may not be stored, or b""."""
    parts = query.split(b"&", MOST_PAIRS)
    if len(parts) > MOST_PAIRS:
        return b""
    kept = []
    for part in parts:
        name, _, text = part.partition(b"=")
        folded, value = _unquoted(name).translate(_LOWER, _SEPARATORS), _unquoted(text)
        if folded in stripped:
            address = kept_address(value.decode(errors="replace"), ip) if folded in ADDRESSES else None
            if address is not None:
                kept.append(b"%b=%b" % (name, address.encode()))
        elif value.lstrip()[:1] in _BEGINNINGS:
            scrubbed = _refused(value, ip, stripped, _LEVELS - 1)
            if scrubbed is None:
                return b""
            kept.append(part if scrubbed == value else b"%b=%b" % (name, quote_from_bytes(scrubbed).encode()))
        else:
            kept.append(part)
    return b"&".join(kept)


def _unquoted(text: bytes) -> bytes:
    return unescaped(text.replace(b"+", b" ").decode("latin-1"))
