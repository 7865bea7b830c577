"""The raw bytes of a dead letter, pure: to members of the log's lines, and back.

| encoding | `raw` in the line |
|---|---|
| `json` | the bytes themselves, which are JSON; whitespace is removed where they had line breaks |
| `utf-8` | a JSON string of the bytes, which are text |
| `base64` | the bytes in base64 |
| `zstd+base64` | the bytes as one zstd frame, in base64; the frame is cut where it is longer than a line |

The encodings are tried in this order, so that a person can read a letter wherever that costs few bytes. The content is
little longer than the raw bytes, with one exception: of bytes that hardly compress, base64 makes up to a third more. No
encoding could avoid that: a line is UTF-8 without control characters, which carries less than seven bits a byte.
"""

import contextlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Final, Literal, get_args

import msgspec
import zstandard

from collector.errors import UNDECODABLE
from collector.nesting import is_deeper

Encoding = Literal["json", "utf-8", "base64", "zstd+base64"]
_JSON, _TEXT, _BASE64, _ZSTD = get_args(Encoding)

LINE_BYTES: Final = 512 << 10
"""JSON and text that are longer in a line are compressed: a line of the log has less than 1 MiB."""
PART_BYTES: Final = 704 << 10
"""Bytes that fit into a line in base64. More are cut into parts, of which each costs a line's other members again."""
_MOST_LEVELS: Final = 256
"""JSON that is nested deeper is not embedded, so that every reader of a letter can decode it."""

_decode_any: Final = msgspec.json.Decoder(msgspec.Raw).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def contents(raw: bytes, room: int) -> Iterator[dict[str, object]]:
    """The members of each line that holds a part of the raw bytes. Text may be longer in it by `room` bytes."""
    if json := embedded(raw):
        yield {"encoding": _JSON, "raw": msgspec.Raw(json)}
    elif (text := _as_text(raw)) and len(text) <= len(raw) + room:
        yield {"encoding": _TEXT, "raw": msgspec.Raw(text)}
    else:
        yield from _in_base64(raw, room)


def embedded(raw: bytes) -> bytes | None:
    """Valid JSON on one line, whitespace aside as it came; None for other bytes, and for JSON too deep or too long."""
    if len(raw) > LINE_BYTES:
        return None
    try:
        raw.decode()
        _decode_any(raw)
    except UNDECODABLE:
        return None
    if is_deeper(raw, _MOST_LEVELS):
        return None
    return msgspec.json.format(raw, indent=-1) if b"\n" in raw or b"\r" in raw else raw.strip()


def raw_of(encoding: Encoding, parts: list[bytes]) -> bytes:
    """The raw bytes, byte by byte as they came, or for `json` as embedded. `parts` are the JSON values of `raw`.

    Raises ValueError for parts that are not of this encoding.
    """
    if encoding == _JSON:
        return b"".join(parts)
    try:
        texts = [_decode_text(part) for part in parts]
        if encoding == _TEXT:
            return "".join(texts).encode()
        content = b"".join(map(b64decode, texts))
        return content if encoding == _BASE64 else zstandard.decompress(content)
    except (msgspec.DecodeError, zstandard.ZstdError) as error:
        raise ValueError(f"not {encoding}: {error}") from None


def _as_text(raw: bytes) -> bytes | None:
    if len(raw) <= LINE_BYTES:
        with contextlib.suppress(UnicodeDecodeError):
            text = msgspec.json.encode(raw.decode())
            return text if len(text) <= LINE_BYTES else None
    return None


def _in_base64(raw: bytes, room: int) -> Iterator[dict[str, object]]:
    """Compressed where base64 alone has no room, and where that makes it shorter."""
    compressed = zstandard.compress(raw) if len(raw) > 3 * room else raw
    encoding, content = (_ZSTD, compressed) if len(compressed) < len(raw) else (_BASE64, raw)
    count = max(1, -(-len(content) // PART_BYTES))
    for number in range(count):
        part = {"part": number + 1, "of": count} if count > 1 else {}
        piece = b64encode(content[number * PART_BYTES : (number + 1) * PART_BYTES])
        yield {**part, "encoding": encoding, "raw": msgspec.Raw(b'"%b"' % piece)}
