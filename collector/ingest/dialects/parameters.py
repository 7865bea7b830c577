"""Events of parameters, each a name and a text: how Snowplow and Matomo send them in JSON, and how much they may grow.

Pure. The bounds keep the work for one event short, because other requests run only between two events.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from collector.errors import UNDECODABLE, BadEvent, TooLarge
from collector.ingest.query import MOST_PAIRS, Pairs

MOST_SENT_BYTES: Final = 3 * (64 << 10)
"""Bytes of one event as sent: those of an event of 64 KiB with every byte percent-encoded. To read them takes 5 ms."""
_SPARE_BYTES: Final = 1024
_SPARE_EVENT_BYTES: Final = 64
_SHOWN: Final = 64
"""Characters of a client's text that a message to it quotes."""
_CONTAINERS: Final = b"{["
_encode: Final = msgspec.json.encode
_decode_texts: Final = msgspec.json.Decoder(dict[str, str]).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


class Growth:
    """How much larger than sent the events of one request may still become.

    A request may add little more to the log than it sent, and the records around its events need nearly all of that.
    """

    def __init__(self) -> None:
        self._left = _SPARE_BYTES

    def takes(self, sent: int, made: int) -> bool:
        """Whether an event of `made` bytes may stand for `sent` bytes. If so, it is counted."""
        left = self._left + _SPARE_EVENT_BYTES + sent - made
        if left < 0:
            return False
        self._left = left
        return True


def kept_of(fields: dict[str, str], sent: bytes) -> bytes:
    """The bytes for a dead letter: the event's parameters as a JSON object, or if that is longer the bytes sent."""
    members = _encode(fields)
    return members if len(members) <= len(sent) + _SPARE_EVENT_BYTES else sent


def grown() -> BadEvent:
    """The error for an event that `Growth` does not take."""
    return BadEvent("the event would need many more bytes in the log than it was sent with")


def parameters_in(raw: bytes, json_names: frozenset[str]) -> dict[str, str]:
    """The parameters of an event that is a JSON object. `raw` is UTF-8.

    Numbers and booleans stand for their text, null for no value. The parameters in `json_names`, whose text is JSON,
    may be that JSON itself. Raises BadEvent and TooLarge.
    """
    check_length(raw)
    try:
        texts = _decode_texts(raw)
    except msgspec.ValidationError:  # not an object of texts alone, which is three times as fast
        return _mixed(raw, json_names)
    except UNDECODABLE as error:
        raise BadEvent(f"the event is not JSON: {error}") from None
    if len(texts) > MOST_PAIRS:
        raise _too_many()
    return texts


def check_length(sent: bytes) -> None:
    """Raise TooLarge for an event that was sent with more than MOST_SENT_BYTES."""
    if len(sent) > MOST_SENT_BYTES:
        raise TooLarge(f"the event was sent with more than {MOST_SENT_BYTES} bytes")


def check_all_read(pairs: Pairs) -> None:
    """Raise BadEvent if `pairs` are not all that a query has."""
    if pairs.is_cut:
        raise _too_many()


def line_of(event: dict[str, Any]) -> bytes:
    """An event as JSON on one line. A `Raw` in it may have line breaks."""
    line = _encode(event)
    return msgspec.json.format(line, indent=-1) if b"\n" in line or b"\r" in line else line


def take_device(names: tuple[str, ...], taken: dict[str, Any], event: dict[str, Any], extra: dict[str, Any]) -> None:
    """Set `aid` to the first of the parameters that is given. The others go to `extra`, under their names."""
    for name in names:
        if name in taken:
            if "aid" in event:
                extra[name] = taken[name]
            else:
                event["aid"] = taken[name]


def shown(text: str) -> str:
    """A text of a client, cut for a message."""
    return text[:_SHOWN]


def _mixed(raw: bytes, json_names: frozenset[str]) -> dict[str, str]:
    try:
        members = _decode_members(raw)
        if len(members) > MOST_PAIRS:
            raise _too_many()
        values = [(name, bytes(value)) for name, value in members.items()]
        return {name: _text(name, value, json_names) for name, value in values if value != b"null"}
    except msgspec.ValidationError:
        raise BadEvent("expected an object of parameters") from None
    except UNDECODABLE as error:
        raise BadEvent(f"the event is not JSON: {error}") from None


def _text(name: str, value: bytes, json_names: frozenset[str]) -> str:
    if value[0] in _CONTAINERS and name not in json_names:
        raise BadEvent(f"{shown(name)}: expected text")
    return _decode_text(value) if value.startswith(b'"') else value.decode()


def _too_many() -> BadEvent:
    return BadEvent(f"the event has more than {MOST_PAIRS} parameters")
