"""How deep a JSON text is nested, pure: in one pass, whatever its shape.

The decoder skips what it has no field for, and so does not count levels. Strings are taken out first, since brackets in
them nest nothing. What is left of the brackets is read sixteen at a time, as bits, with a table of what each sixteen do
to the depth: 5 ns a bracket in the worst case, where a loop over brackets takes 50 (`python -m bench shapes`).
"""

import sys
from array import array
from typing import Final

_BRACKETS_AND_QUOTES: Final = b'[]{}"'
_OTHERS: Final = bytes(set(range(256)) - set(_BRACKETS_AND_QUOTES))
_TO_BITS: Final = bytes.maketrans(b"[{]}", b"1100")
_BITS: Final = 16


def is_deeper(text: bytes, levels: int) -> bool:
    """Whether valid JSON has more than so many levels of arrays and objects."""
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
    """The brackets that are not in strings."""
    if b"\\" in text:  # which stands in strings alone: without escapes each quote begins or ends a string
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    rest = text.translate(None, _OTHERS).replace(b'""', b"")
    return b"".join(rest.split(b'"')[::2]) if b'"' in rest else rest


def _byte(bits: int) -> tuple[int, int]:
    """How eight brackets change the depth, and how far it rises among them."""
    depth = highest = 0
    for at in range(7, -1, -1):
        depth += 1 if bits >> at & 1 else -1
        highest = max(highest, depth)
    return depth, highest


def _tables() -> tuple["array[int]", bytes]:
    """The same for each word of sixteen, as this machine reads two bytes."""
    single = [_byte(bits) for bits in range(256)]
    words = [(single[word[0]], single[word[1]]) for word in (n.to_bytes(2, sys.byteorder) for n in range(1 << _BITS))]
    return (
        array("b", [first[0] + second[0] for first, second in words]),
        bytes([max(first[1], first[0] + second[1]) for first, second in words]),
    )


_CHANGE, _HIGHEST = _tables()
