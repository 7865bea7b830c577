"""Addresses and user agents inside an event, pure: what a property's `ip` and `user_agent` settings leave of them.

A member is known by its name, whatever its case and the separators in it, at the top of the event and in the objects
below, `_LEVELS` deep; arrays are left alone, and so is everything that is not JSON. An object that is looked into is
written anew, so that of a member that came twice the last is kept: the first could hide an address. All other values
stay byte for byte. The cost is linear in the bytes: each is looked at once a level.
"""

import re
from functools import partial
from typing import Final, Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec
from msgspec import Raw

from collector.dead_letters import Form
from collector.ingest.client import kept_address

IpRule = Literal["full", "truncate", "drop"]

ADDRESSES: Final = frozenset(
    b"ip ips ipaddr ipaddress ipv4 ipv4address ipv6 ipv6address uip cip clientip clientipaddress clientaddress "
    b"userip useripaddress visitorip customerip deviceip publicip externalip localip internalip sourceip "
    b"sourceaddress remoteip remoteaddr remoteaddress requestip realip xrealip lastip trueclientip httpclientip "
    b"xclientip cfconnectingip peerip netpeerip networkpeeraddress forwardedfor xforwardedfor".split()
)
"""Names of addresses, in lower case and without separators."""
USER_AGENTS: Final = frozenset(
    b"ua uadata uastring useragent useragentdata useragentoriginal useragentstring rawuseragent httpuseragent "
    b"clientuseragent browseruseragent deviceuseragent".split()
)
"""Names of user agents, likewise."""

_LEVELS: Final = 4
"""`context.request.headers.user-agent` is on the fourth; clients nest no deeper."""
_BRACE: Final = ord("{")
_LOWER: Final = bytes(range(256)).lower()
_SEPARATORS: Final = b"_-. $"
_BOTH: Final = ADDRESSES | USER_AGENTS
_NONE: Final[frozenset[bytes]] = frozenset()
_ESCAPED: Final = re.compile(rb"\\u00[2-7]")
"""An escape that a name may be written with: all of them are ASCII."""
_UNFIT: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encode: Final = msgspec.json.encode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def scrub(event: bytes, ip: IpRule, *, keeps_user_agent: bool) -> bytes:
    """The event as it may be stored; never longer. The same bytes where nothing in it has such a name."""
    if (ip == "full" and keeps_user_agent) or not _may_name(event):
        return event
    return _scrubbed(event, ip, _stripped(ip, keeps_user_agent=keeps_user_agent), _LEVELS)


def scrub_raw(raw: bytes, form: Form, ip: IpRule, *, keeps_user_agent: bool) -> bytes:
    """What came with a request that was refused, as it may be kept: an event, a batch or a query; other bytes whole."""
    stripped = _stripped(ip, keeps_user_agent=keeps_user_agent)
    if not stripped:
        return raw
    if form is Form.QUERY:
        return b"&".join([pair for each in raw.split(b"&") if (pair := _pair(each, ip, stripped)) is not None])
    scrub_one = partial(scrub, ip=ip, keeps_user_agent=keeps_user_agent)
    if form is Form.NDJSON:
        return b"\n".join(map(scrub_one, raw.split(b"\n")))
    events = _elements(raw)
    return scrub_one(raw) if events is None else b"[%b]" % b",".join([scrub_one(bytes(event)) for event in events])


def _stripped(ip: IpRule, *, keeps_user_agent: bool) -> frozenset[bytes]:
    """The names of members that are not stored as they came."""
    if ip == "full":
        return _NONE if keeps_user_agent else USER_AGENTS
    return ADDRESSES if keeps_user_agent else _BOTH


def _may_name(event: bytes) -> bool:
    """Whether a member may have one of the names: not where none stands between quotes, in letters or in escapes."""
    between_quotes = event.translate(_LOWER, _SEPARATORS).split(b'"')
    return not _BOTH.isdisjoint(between_quotes) or (b"\\u00" in event and _ESCAPED.search(event) is not None)


def _scrubbed(data: bytes | Raw, ip: IpRule, stripped: frozenset[bytes], levels: int) -> bytes:
    """An object without what may not be stored under the names in `stripped`; anything else as it is."""
    try:
        members = _decode_members(data)
    except _UNFIT:
        return bytes(data)
    kept: dict[str, Raw] = {}
    for name, value in members.items():
        folded = name.encode().translate(_LOWER, _SEPARATORS)
        if folded in stripped:
            if folded in ADDRESSES and (address := kept_address(_text(value), ip)) is not None:
                kept[name] = Raw(_encode(address))
        elif levels > 1 and memoryview(value)[0] == _BRACE and _may_name(bytes(value)):
            kept[name] = Raw(_scrubbed(value, ip, stripped, levels - 1))
        else:
            kept[name] = value
    return _encode(kept)


def _text(value: Raw) -> str | None:
    try:
        return _decode_text(value)
    except _UNFIT:
        return None


def _pair(pair: bytes, ip: IpRule, stripped: frozenset[bytes]) -> bytes | None:
    """One `name=value` of a query, which is a member of its event; None if it may not be stored."""
    name, _, text = pair.partition(b"=")
    folded, value = _unquoted(name).translate(_LOWER, _SEPARATORS), _unquoted(text)
    if folded in stripped:
        address = kept_address(value.decode(errors="replace"), ip) if folded in ADDRESSES else None
        return None if address is None else b"%b=%b" % (name, address.encode())
    scrubbed = _scrubbed(value, ip, stripped, _LEVELS - 1) if _may_name(value) else value
    return pair if scrubbed == value else b"%b=%b" % (name, quote_from_bytes(scrubbed).encode())


def _unquoted(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _elements(raw: bytes) -> list[Raw] | None:
    """The events of a JSON array; None where it is none. One that is not UTF-8 may have millions, and is kept whole."""
    try:
        raw.decode()
        return _decode_array(raw)
    except _UNFIT:
        return None
