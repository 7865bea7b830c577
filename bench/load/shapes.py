"""Events in every shape that may cost more than its bytes: as JSON and as forms, accepted and refused ones."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from bench.load import texts as texts_
from bench.load.texts import Text, repeated, texts

JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_SIX: Final = b'"ea":"view","ec":"product","sid":6320,"aid":"3840","uid":"u-8812"'
_FORM_SIX: Final = b"ea=view&ec=product&sid=6320&aid=3840&uid=u-8812"
_PLACES: Final = {
    "context": (b'"context":{"v":', b"}"),
    "extra": (b'"extra":{"v":', b"}"),
    "items": (b'"items":[{"v":', b"}]"),
    "an unknown member": (b'"v":', b""),
}
_WRONG: Final = {
    "ea is a number": b'"ea":1',
    "sid is no number": b'"sid":"x"',
    "items are numbers": b'"items":[1]',
}
_MEMBERS: Final = (
    *(b'"ea":"view"', b'"sid":"1"', b'"aid":' + b"9" * 254, b'"uid":' + b"9" * 250),
    *rb'"aid":1 "items":[] "items":[{},{},{}] "context":{} "context":{"a":1} "dims":{"":0} "en":"a" "":0'.split(),
    *rb'"\u0065a":"view" "e\u0061":"view"'.split(),
)
_PAIRS: Final = (*b"a a=1 = & a=%41 %61=1 a=+ a=% a=%zz a=%ff".split(), b"a=\xff", b"context={}")
_VALUES: Final = {
    "letters": b"a",
    "%41": b"%41",
    "%C3%A9": b"%C3%A9",
    "%F0%9F%98%80": b"%F0%9F%98%80",
    "%FF": b"%FF",
    "0xff": b"\xff",
    "0xff and letters": b"\xffa",
    "%FF and letters": b"%FFa",
    "é in Latin-1 and %41": b"\xe9%41",
    "%": b"%",
    "%4": b"%4",
    "%zz": b"%zz",
    "%41%": b"%41%",
    "+": b"+",
    "+%20": b"+%20",
    "=": b"=",
    "=41": b"=41",
    "%3D": b"%3D",
    "%0A": b"%0A",
    "line breaks and %41": b"\n%41",
    "line breaks": b"\n",
    "%00": b"%00",
    "%22": b"%22",
    "%5C": b"%5C",
    "quotes": b'"',
    "backslashes": b"\\",
    "control characters": b"\x01",
    "é": "é".encode(),
    "漢": "漢".encode(),
    "😀": "😀".encode(),
    "half of é": b"\xc3",
}


class Shape(NamedTuple):
    """A body in some shape, and the content type that it is sent with."""

    name: str
    body: bytes
    media: str = JSON


def shapes(size: int) -> Iterator[Shape]:
    """All shapes of about this many bytes. The kinds alternate, so that the first few are a sample."""
    kinds = [_plain(size), _with_line_breaks(size), _refused(size), _of_members(size), _forms(size)]
    while kinds:
        for kind in list(kinds):
            shape = next(kind, None)
            if shape is None:
                kinds.remove(kind)
            else:
                yield shape


def string(size: int) -> Shape:
    """An event with one long string."""
    return Shape("a string", _event(b'"extra":{"v":', repeated(b'"', b"", b"a", b'"', _room(size)), b"}"))


def cart(size: int) -> Shape:
    """An event with a cart of small objects."""
    return Shape("a cart", _event(b'"items":', texts_.cart(_room(size)), b""))


def _room(size: int) -> int:
    return size - len(_SIX) - 32


def _event(begin: bytes, value: bytes, end: bytes) -> bytes:
    return b"{%b,%b%b%b}" % (_SIX, begin, value, end)


def _plain(size: int) -> Iterator[Shape]:
    for text in texts():
        for place, (begin, end) in _PLACES.items():
            yield Shape(f"{text.name}, in {place}", _event(begin, text.make(_room(size)), end))


def _with_line_breaks(size: int) -> Iterator[Shape]:
    for text in texts():
        value = text.make(_room(size))
        yield Shape(f"{text.name}, and a line break", b'{%b,\n"v":%b}' % (_SIX, value))


def _refused(size: int) -> Iterator[Shape]:
    for text in texts():
        value = text.make(_room(size))
        for name, member in _WRONG.items():
            yield Shape(f"{text.name}, and {name}", b'{%b,"v":%b,%b}' % (_SIX, value, member))
        yield Shape(f"{text.name}, and its end is missing", b'{%b,"v":%b' % (_SIX, value))
        yield Shape(f"{text.name}, and it is not UTF-8", b'{%b,"v":%b,"w":"\xff"}' % (_SIX, value))
        deep = b"[" * 65 + b"]" * 65
        yield Shape(f"{text.name}, and too deep", b'{%b,"v":%b,"w":%b}' % (_SIX, value, deep))
        yield Shape(f"{text.name}, as items", b'{%b,"items":%b}' % (_SIX, value))


def _of_members(size: int) -> Iterator[Shape]:
    for member in _MEMBERS:
        for name, last in {"": b'"z":0', **{f", and {name}": wrong for name, wrong in _WRONG.items()}}.items():
            body = repeated(b"{%b," % _SIX, b",", member, b",%b}" % last, size)
            yield Shape(f"members {_cut(member)}{name}", body)


def _forms(size: int) -> Iterator[Shape]:
    for pair in _PAIRS:
        for name, head in (("", _FORM_SIX), (", without ec", _FORM_SIX.replace(b"ec=", b"x="))):
            yield Shape(f"pairs {_cut(pair)}{name}", repeated(head + b"&", b"&", pair, b"", size), _FORM)
    for name, unit in _VALUES.items():
        for place in ("v", "context", "sid"):
            head = b"%b&%b=" % (_FORM_SIX.replace(b"sid=6320&", b"") if place == "sid" else _FORM_SIX, place.encode())
            yield Shape(f"{place} of {name}", repeated(head, b"", unit, b"", size), _FORM)
        yield Shape(f"a name of {name}", repeated(_FORM_SIX + b"&", b"", unit, b"=1", size), _FORM)
    for text in texts():
        yield Shape(f"context of {text.name}", _form_with(text, size), _FORM)


def _form_with(text: Text, size: int) -> bytes:
    value = text.make(size - len(_FORM_SIX) - 64).replace(b"%", b"%25").replace(b"&", b"%26").replace(b"+", b"%2B")
    return b'%b&context={"v":%b}' % (_FORM_SIX, value)


def _cut(unit: bytes) -> str:
    text = repr(unit)[2:-1]
    return text if len(text) <= 24 else f"{text[:20]}…"
