"""The command that sends an event again, safe to paste into a shell, pure.

The event stands in single quotes, as JSON of printable ASCII without a single quote: no character of a sender ends the
quotes or the line, or is hidden or reordered by a terminal.
"""

import re
from typing import Final

import msgspec
from msgspec import Struct

from collector.errors import UNDECODABLE
from collector.settings import PropertySettings

_UNSAFE: Final = re.compile(r"[^ -&(-~]")
"""All but printable ASCII without the single quote."""
_SPACE: Final = "\t\r\n"
_VARIABLE: Final = re.compile("env:([A-Za-z_][A-Za-z0-9_]*)")


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
    key = _VARIABLE.fullmatch(prop.write_keys[0]) if prop and prop.write_keys else None
    header = f' -H "x-write-key: ${key[1]}"' if key else ""
    return f"curl -sS '{target}' -H 'content-type: application/json'{header} --data-raw '{event}'"


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
