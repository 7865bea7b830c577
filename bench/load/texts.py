"""JSON texts of any length, in every shape that a parser may be slow at, and forms; always the same ones.

A text is a value of about so many bytes: one unit again and again, inside a string, an array or an object, or brackets
in some arrangement.
"""

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Final, NamedTuple

Make = Callable[[int], bytes]

DEEPEST: Final = 60
"""Levels of a text's own: the event around it has up to three more, and 64 are allowed."""
_DEPTHS: Final = (2, 3, 4, 8, 16, 24, 32, 33, 48, DEEPEST)
_IN_STRINGS: Final = {
    "plain": b"a",
    "escaped quotes": b'\\"',
    "pairs of backslashes": b"\\\\",
    "backslashes and quotes": b'\\\\\\"',
    "letters and backslashes": b"a\\\\",
    "letters and escaped quotes": b'aaaaaaa\\"',
    "\\u0041": b"\\u0041",
    "\\u001f": b"\\u001f",
    "\\u00e9": b"\\u00e9",
    "surrogate pairs": b"\\ud83d\\ude00",
    "\\n": b"\\n",
    "\\/": b"\\/",
    "all escapes": b'\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u20ac',
    "2 bytes": "é".encode(),
    "3 bytes": "漢".encode(),
    "4 bytes": "😀".encode(),
    "2 bytes after 1": "aé".encode(),
    "1 to 4 bytes": "aé漢😀".encode(),
    "brackets": b"[{}]",
    "brackets that open": b"[{",
    "brackets that close": b"]}",
    "brackets and escaped quotes": b'[\\"',
    "spaces": b" ",
    "names": b"user_agent ",
}
_IN_ARRAYS: Final = (
    *(b'""', b'"a"', b'"ab cd"'),
    *r'"\"" "\\" "\\\"" "\u0061" "[{" "]" "é" "漢" "😀"'.encode().split(),
    *b"0 1 -1 123456 -0.0 0.1 1e5 1E-400 1e308 1.7976931348623157e308 2.2250738585072011e-308".split(),
    *(b"0." + b"3" * 30, b"0." + b"3" * 3000, b"1" * 19, b"9" * 30, b"9" * 300, b"9" * 4000),
    *b"null true false null,true,false [] {} [],{} [[]] [{}] [[],[]] [1] [1,2,3] [null]".split(),
    *rb'[""] ["",{}] {"":0} {"":""} {"":{}} {"a":1} {"a":[]} {"a":"\""} {"ip":1} {"a":{"b":{"c":1}}}'.split(),
    *(b" 1 ", b"\n1", b"\r\n  1", b'\t""', b"[ ]", b"[\n]", b'{\n"a" :\n1\n}', b" " * 40 + b"1"),
)
_IN_OBJECTS: Final = (
    *rb'"":0 "":"" "a":1 "a":{} "a":[] "\u0061":1 "\"":1 "ip":1 "user_agent":"" "user":{"ip":1}'.split(),
    *(b'"a" : 1', b'\n"a": 1', '"é":"é"'.encode()),
)
_CART: Final = b'{"id":"%d","name":"Tivi Samsung","price":4500000,"quantity":1}'
_SOME: Final = [
    *b'0 -1.5e3 true null "" "a" "\\"" "\\\\" "[" [] {} [1] {"a":1} {"":[]} [[[]]] [""]'.split(),
    '"é漢😀"'.encode(),
    b" 1 ",
]


class Text(NamedTuple):
    """A kind of JSON value: `make` gives one of about so many bytes."""

    name: str
    make: Make


def texts() -> Iterator[Text]:
    """All of them, more than a hundred."""
    for name, unit in _IN_STRINGS.items():
        yield Text(f"one string of {name}", partial(repeated, b'"', b"", unit, b'"'))
    for unit in _IN_ARRAYS:
        yield Text(f"array of {_shown(unit)}", partial(repeated, b"[", b",", unit, b"]"))
    for unit in _IN_OBJECTS:
        yield Text(f"object of {_shown(unit)}", partial(repeated, b"{", b",", unit, b"}"))
    yield Text("object of different names", different_names)
    for depth in _DEPTHS:
        yield from _deep(depth)
    for seed in range(12):
        yield Text(f"brackets at random, seed {seed}", partial(_random_brackets, seed))
        yield Text(f"mixture, seed {seed}", partial(_mixture, seed))


def cart(size: int) -> bytes:
    """An array of small objects."""
    numbers = count(864_115)
    return _joined(b"[", b"]", lambda: _CART % next(numbers), size)


def different_names(size: int) -> bytes:
    """An object in which no name comes twice."""
    numbers = count()
    return _joined(b"{", b"}", lambda: b'"n%d":1' % next(numbers), size)


def repeated(begin: bytes, between: bytes, unit: bytes, end: bytes, size: int) -> bytes:
    """As many units as fit, at least one."""
    times = max(1, (size - len(begin) - len(end)) // (len(unit) + len(between)))
    return begin + between.join([unit] * times) + end


def _deep(depth: int) -> Iterator[Text]:
    """Units of so many levels, of each kind of bracket, and a comb whose teeth stand so deep."""
    units = {
        "arrays": b"[" * depth + b"]" * depth,
        "objects": b'{"":' * depth + b"0" + b"}" * depth,
        "both": (b'[{"":' * (depth // 2) + b"0" + b"}]" * (depth // 2)),
        "arrays with escapes": b'["\\"",' * depth + b"0" + b"]" * depth,
        "arrays with pairs of backslashes": b'["\\\\",' * depth + b"0" + b"]" * depth,
    }
    for name, unit in units.items():
        yield Text(f"{name} {depth} deep", partial(repeated, b"[", b",", unit, b"]"))
    for name, tooth in (("[]", b"[]"), ("{}", b"{}"), ('""', b'""')):
        begin, end = b"[" * (depth - 1), b"]" * (depth - 1)
        yield Text(f"{name} side by side {depth} deep", partial(repeated, begin, b",", tooth, end))


def _random_brackets(seed: int, size: int) -> bytes:
    """A walk up and down between 1 and the deepest level."""
    draw, depth, parts = random.Random(seed), 1, [b"["]
    likely_up, length, is_first = draw.uniform(0.4, 0.6), 1, True
    while length < size - depth:
        goes_up = depth < DEEPEST and (depth == 1 or draw.random() < likely_up)
        part = (b"[" if is_first else b",[") if goes_up else b"]"
        depth, is_first = depth + (1 if goes_up else -1), goes_up
        parts.append(part)
        length += len(part)
    return b"".join(parts) + b"]" * depth


def _mixture(seed: int, size: int) -> bytes:
    draw = random.Random(seed)
    some = draw.sample(_SOME, draw.randrange(2, 8))
    return _joined(b"[", b"]", lambda: draw.choice(some), size)


def _joined(begin: bytes, end: bytes, unit: Callable[[], bytes], size: int) -> bytes:
    parts, length = [unit()], 0
    while (length := length + len(parts[-1]) + 1) < size - len(begin) - len(end):
        parts.append(unit())
    return begin + b",".join(parts) + end


def _shown(unit: bytes) -> str:
    text = repr(unit.decode())[1:-1].replace("\\\\", "\\")
    return text if len(text) <= 24 else f"{text[:12]}… ({len(unit)} bytes)"
