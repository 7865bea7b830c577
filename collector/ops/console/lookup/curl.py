"""The command that sends an event again, safe to paste into a shell, pure.

The event stands in single quotes, as JSON of printable ASCII without a single quote: no character of a sender ends the
quotes or the line, or is hidden or reordered by a terminal.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from collector.errors import UNDECODABLE
from collector.settings import PropertySettings

_UNSAFE: Final = re.compile(r"[^ -&(-~]")
"""All but printable ASCII without the single quote."""
_UNSAFE_BYTES: Final = re.compile(rb"[^ -&(-~]")
_SPACE: Final = "\t\r\n"
_VARIABLE: Final = re.compile("env:([A-Za-z_][A-Za-z0-9_]*)")


_OTHER_VARIABLE: Final = "WRITE_KEY"
"""For a key that the settings read from elsewhere."""
KEY_HEADER: Final = "x-write-key"


class _Sent(Struct):
    portal_id: int
    prop_id: int
    event: msgspec.Raw


_decode: Final = msgspec.json.Decoder(_Sent).decode
_decode_any: Final = msgspec.json.Decoder(msgspec.Raw).decode


def curl_command(event_url: str, record: bytes, prop: PropertySettings | None) -> str | None:
    """The command for the event of a record; None if the record is not as the collector writes it.

    `prop`: its property, if that is still in the settings. A write key stands as the variable of the environment.
    """
    try:
        sent = _decode(record)
        event = pasted_json(bytes(sent.event))
    except UNDECODABLE:
        return None
    target = f"{event_url}?portal_id={sent.portal_id}&prop_id={sent.prop_id}"
    return f"curl -sS '{target}' -H 'content-type: application/json'{_key_header(prop)} --data-raw '{event}'"


def curl_of_request(url: str, headers: Mapping[str, str], body: bytes, prop: PropertySettings) -> str | None:
    """The command for a POST; None for a body with NUL, which no command line can have.

    The header KEY_HEADER is left out of `headers`: a write key stands as a variable.
    """
    if b"\0" in body:
        return None
    lines = [f"{name}: {value}" for name, value in headers.items() if name != KEY_HEADER]
    shown = "".join(f" -H {_quoted(line.encode())}" for line in lines)
    try:
        text = f"'{pasted_json(body)}'"
    except UNDECODABLE:
        text = _quoted(body)
    return f"curl -sS {_quoted(url.encode())}{shown}{_key_header(prop)} --data-raw {text}"


def _key_header(prop: PropertySettings | None) -> str:
    if prop is None or not prop.write_keys:
        return ""
    key = _VARIABLE.fullmatch(prop.write_keys[0])
    return f' -H "{KEY_HEADER}: ${key[1] if key else _OTHER_VARIABLE}"'


def _quoted(text: bytes) -> str:
    """Any bytes but NUL as one word of bash or zsh, of printable ASCII."""
    if not _UNSAFE_BYTES.search(text):
        return f"'{text.decode()}'"
    escaped = _UNSAFE_BYTES.sub(lambda match: b"\\x%02x" % match[0][0], text.replace(b"\\", rb"\x5c"))
    return f"$'{escaped.decode()}'"


def pasted_json(json: bytes) -> str:
    """JSON as printable ASCII without a single quote, of the same meaning.

    Raises DecodeError for what is not JSON, UnicodeDecodeError.
    """
    _decode_any(json)
    return _UNSAFE.sub(_escape, json.decode())


def _escape(match: re.Match[str]) -> str:
    """The escape of a character, which stands in a string: JSON has none of them elsewhere, but for white space."""
    char = match[0]
    if char in _SPACE:
        return " "
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
