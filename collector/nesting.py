"""The nesting depth of a JSON text, pure: measured in one pass, whatever its shape.

The decoder skips unknown members, so it does not count their levels. Strings are removed first, because their brackets
do not nest. The other brackets are read as bits, sixteen at a time, with a table of their effect on the depth: 5 ns a
bracket in the worst case, where a loop over brackets takes 50 (`python -m bench shapes`).
"""

import sys
from array import array
from typing import Final

_BRACKETS_AND_QUOTES: Final = b'[]{}"'
_OTHERS: Final = bytes(set(range(256)) - set(_BRACKETS_AND_QUOTES))
_TO_BITS: Final = bytes.maketrans(b"[{]}", b"1100")
_BITS: Final = 16


def is_deeper(text: bytes, levels: int) -> bool:
    """Whether valid JSON has more than `levels` levels of arrays and objects."""
    brackets = _brackets(text)
    if len(brackets) <= 2 * levels:
        return False
    bits = brackets.translate(_TO_BITS) + b"0" * (-len(brackets) % _BITS)
    depth = 0
    for word in memoryview(int(bits, 2).to_bytes(len(bits) // 8, "big")).cast("H"):
        if depth + _HIGHEST[word] > levels:
            return True
        depth += _CHANGE[word]
    return False


def _brackets(text: bytes) -> bytes:
    """The brackets outside of strings."""
    if b"\\" in text:  # in strings only: without escapes, every quote begins or ends a string
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    rest = text.translate(None, _OTHERS).replace(b'""', b"")
    return b"".join(rest.split(b'"')[::2]) if b'"' in rest else rest


def _byte(bits: int) -> tuple[int, int]:
    """The change of depth by eight brackets, and the highest depth among them."""
    depth = highest = 0
    for at in range(7, -1, -1):
        depth += 1 if bits >> at & 1 else -1
        highest = max(highest, depth)
    return depth, highest


def _tables() -> tuple["array[int]", bytes]:
    """The same for every word of sixteen, in this machine's byte order.

    Built from rows, of which few differ: a process that computed each word would start 23 ms later.
    """
    single = [_byte(bits) for bits in range(256)]
    rows = {effect: _row(effect, single) for effect in set(single)}
    return (
        array("b", b"".join([rows[effect][0] for effect in single])),
        b"".join([rows[effect][1] for effect in single]),
    )


def _row(high: tuple[int, int], single: list[tuple[int, int]]) -> tuple[bytes, bytes]:
    """The changes, as signed bytes, and the heights of all words that have a byte with the effect `high`.

    It is the byte that counts for more in the word: the second one in memory, if the machine is little-endian.
    """
    pairs = [(low, high) if sys.byteorder == "little" else (high, low) for low in single]
    return (
        array("b", [first[0] + second[0] for first, second in pairs]).tobytes(),
        bytes([max(first[1], first[0] + second[1]) for first, second in pairs]),
    )


_CHANGE, _HIGHEST = _tables()
