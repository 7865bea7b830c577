"""Queries and forms, pure: percent-encoded pairs to values, and the event's fields among them to JSON.

Nothing here fails: an invalid escape is taken literally, and a value that is not JSON fails the rules of its field.
"""

import re
from binascii import a2b_qp
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from collector.ingest.event import Event
from collector.ingest.fields.field_types import field_schemas, takes_text


class Parameter(NamedTuple):
    """A query parameter that is not a field of the event."""

    description: str
    schema: dict[str, Any]
    """JSON Schema. One with an `enum` also needs a `default`; the value is checked then."""


_IDENTIFIER: Final = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
_TEXT: Final = {"type": "string"}
PARAMETERS: Final = {
    "portal_id": Parameter("the account: an integer from 1 on; required without `id`", _IDENTIFIER),
    "prop_id": Parameter("its data source: an integer from 1 on; required without `id`", _IDENTIFIER),
    "id": Parameter("the public id of the property, in place of `portal_id` and `prop_id`", _TEXT),
    "resp_type": Parameter(
        "`javascript` (default), `json`, `pixel` (a GIF of one transparent pixel) or `redirect`",
        {"enum": ["javascript", "json", "redirect", "pixel"], "default": "javascript"},
    ),
    "is_s2s": Parameter(
        "`true` from a server: no cookie, no CORS, and no address and no user agent is recorded",
        {"enum": ["true", "false"], "default": "false"},
    ),
    "queued": Parameter(
        "`1`: the client keeps the event until it has a response, so that a busy node may shed it first, beacon or not",
        {"enum": ["0", "1"], "default": "0"},
    ),
    "redirect_url": Parameter(
        "for `redirect`: where a click (`ea` or `ec` is `click`) goes, if the property lists the host", _TEXT
    ),
    "redirect_sig": Parameter(
        "lets `redirect_url` lead to a host that is not listed: made by `collector sign-url`, for one property", _TEXT
    ),
    "an_session": Parameter(
        "the token of an earlier response, which carries the visitor's session; else the cookie does", _TEXT
    ),
}
"""The parameters of a query about itself. OpenAPI follows from it. Every other one is a field of the event."""
JSON_FIELDS: Final = frozenset(name for name, schema in field_schemas(Event).items() if not takes_text(schema))
"""Fields whose value in a query is JSON, since they take no text."""
MOST_PAIRS: Final = 1000
_ESCAPE_BYTES: Final = 3
"""The most bytes that a form needs for one byte of its event."""
_MOST_WARNINGS: Final = 8
_SHOWN_NAME: Final = 64
"""Characters of a name in a warning. A request may add no more to the log than it sent, so warnings are bounded too."""
_LONGEST_SID: Final = 255


class Pairs(Struct, frozen=True, gc=False):
    """The first value of every name, the repeated names, and whether pairs over the limit were cut off."""

    values: dict[str, str]
    repeated: tuple[str, ...]
    is_cut: bool


def parse_pairs(query: bytes) -> Pairs:
    """Parse `name=value&…`. An escape that is malformed, or not UTF-8, stays as it is."""
    text = query.decode("latin-1")
    parts = text.split("&", MOST_PAIRS)
    is_cut = len(parts) > MOST_PAIRS
    if is_cut:
        parts.pop()
    has_others = "+" in text or not text.isascii()  # apart from `%`, for which every part is searched
    values: dict[str, str] = {}
    repeated: dict[str, None] = {}
    for part in parts:
        if not part:
            continue
        name, _, value = part.partition("=")
        if has_others or "%" in part:
            name, value = _unquoted(name), _unquoted(value)
        if name in values:
            repeated[name] = None
        else:
            values[name] = value
    return Pairs(values, tuple(repeated), is_cut)


def is_form_over(form: bytes, event_bytes: int) -> bool:
    """Whether a form is too long for an event, even if all its escapes are valid. Found without unescaping."""
    return len(form) > _ESCAPE_BYTES * event_bytes or len(form) - (_ESCAPE_BYTES - 1) * form.count(b"%") > event_bytes


def event_of(pairs: Pairs) -> bytes:
    """The event in a query or form as JSON; empty if there is no event field."""
    members: dict[str, str | msgspec.Raw] = {}
    for name, value in pairs.values.items():
        if name in PARAMETERS:
            continue
        if name in JSON_FIELDS:
            if value.strip():
                raw = value.encode()
                members[name] = msgspec.Raw(raw) if _is_json(raw) else value
        elif name == "sid" and value.isascii() and value.isdigit() and len(value) <= _LONGEST_SID:
            members[name] = msgspec.Raw(b"%d" % int(value))
        else:
            members[name] = value
    return _encode(members) if members else b""


def warnings_of(pairs: Pairs) -> list[str]:
    """Warnings for readers of the stored event, about repeated parameters."""
    names = [name for name in pairs.repeated if name not in PARAMETERS]
    warnings = [f"only the first {name[:_SHOWN_NAME]} of the query was read" for name in names[:_MOST_WARNINGS]]
    if more := len(names) - len(warnings):
        warnings.append(f"{more} more parameters were repeated too")
    return warnings


def misspelt(pairs: Pairs) -> list[str]:
    """Warnings about parameters whose name is a typing error away from that of a parameter of ours."""
    if _KNOWN.issuperset(pairs.values):  # half the time of the search, which few queries need
        return []
    names = [name for name in pairs.values if _SHORTEST_MISSPELT <= len(name) <= _LONGEST_MISSPELT]
    near = [(name, meant) for name in names if name not in _KNOWN and (meant := _meant(name))]
    return [f"{name} is unknown: is it {meant}?" for name, meant in near[:_MOST_WARNINGS]]


def without_secrets(query: bytes) -> bytes:
    """The query without parameters that grant rights of a visitor or of the business, escaped or not.

    `token_auth` is Matomo's.
    """
    return _SECRETS.sub(b"", b"&" + query)[1:]


@lru_cache(4096)
def _meant(name: str) -> str | None:
    """The parameter whose name differs in one character, or in the order of two neighbours; None if there is none.

    Such names have a name in common that is left when each loses a character. The cache keeps names of clients, so they
    must be short.
    """
    return next((_NEAR[spelling] for spelling in (name, *_shorter(name)) if spelling in _NEAR), None)


def _shorter(name: str) -> list[str]:
    """The name without one of its characters."""
    return [name[:at] + name[at + 1 :] for at in range(len(name))]


def _is_json(raw: bytes) -> bool:
    try:
        _decode_any(raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _unquoted(text: str) -> str:
    """Unescape a name or a value. `text` has one character for every byte."""
    if "%" not in text and "+" not in text and text.isascii():
        return text
    found = unescaped(text.replace("+", " "))
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found.decode("utf-8", "surrogateescape").translate(_LITERAL)


def unescaped(text: str) -> bytes:
    """As `unquote_to_bytes`, which takes 0.3 us an escape: quoted-printable is the same with another sign, in C.

    A malformed escape shows in the length, because every valid one shortens the text by two.
    """
    if "\n" in text or "\r" in text:  # quoted-printable may treat them as line ends
        text = text.replace("\n", "%0A").replace("\r", "%0D")
    raw = text.encode("latin-1")
    found = a2b_qp(raw.replace(b"=", b"=3D").replace(b"%", b"="))
    if len(found) == len(raw) - 2 * text.count("%"):
        return found
    return a2b_qp(_marked(raw).replace(b"=", b"=3D").replace(b"%", b"=").replace(b"\n", b"=25"))


def _marked(raw: bytes) -> bytes:
    """Replace every malformed `%` by a line feed; `raw` has none. 20 ns for each, where a pattern takes 200.

    A copy with all valid escapes zeroed has `%` only in these places. From it comes a mask as long as `raw`, which is 0
    in all other places, so that one exclusive or changes all of them.
    """
    wrong = raw.translate(_KINDS).replace(b"%hh", b"\0\0\0").translate(_DIFFERENCES)
    return (int.from_bytes(raw, "big") ^ int.from_bytes(wrong, "big")).to_bytes(len(raw), "big")


def _escapable(name: str) -> str:
    """A pattern for a parameter's name, in which any character may be escaped."""
    return "".join(f"(?:{char}|%(?i:{ord(char):02x}))" for char in name)


_encode: Final = msgspec.json.encode
_SHORTEST_MISSPELT: Final = 5
"""Names shorter than this are near too many others: `aid` is not a misspelt `id`."""
_LONGEST_MISSPELT: Final = max(map(len, PARAMETERS)) + 1
_NEAR: Final = {near: name for name in PARAMETERS if len(name) > _SHORTEST_MISSPELT for near in (name, *_shorter(name))}
_KNOWN: Final = PARAMETERS.keys() | field_schemas(Event).keys()
_decode_any: Final = msgspec.json.Decoder(msgspec.Raw).decode
_LITERAL: Final = {0xDC00 + byte: f"%{byte:02X}" for byte in range(0x80, 0x100)}
"""From bytes that are not UTF-8 to their escapes. An error handler would take 1.5 us for every such byte."""
_KINDS: Final = bytes(
    ord("h") if chr(byte) in "0123456789ABCDEFabcdef" else byte if byte == ord("%") else 0 for byte in range(256)
)
_DIFFERENCES: Final = bytes(ord("%") ^ ord("\n") if byte == ord("%") else 0 for byte in range(256))
_SECRETS: Final = re.compile(
    rf"&(?:{_escapable('an_session')}|{_escapable('redirect_sig')}|{_escapable('token_auth')})(?:=[^&]*)?(?=&|$)".encode()
)
