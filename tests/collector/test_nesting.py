"""The nesting depth of JSON: the same as counted byte by byte, for every shape."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.nesting import is_deeper

_TEXTS = st.text(alphabet='ab"\\[]{}/\n\u00e9\U0001f600', max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=60,
)


def _depth(text: str) -> int:
    """The levels, counted character by character."""
    depth = deepest = 0
    in_string = is_escaped = False
    for char in text:
        if in_string:
            in_string = is_escaped or char != '"'
            is_escaped = char == "\\" and not is_escaped
        elif char == '"':
            in_string, is_escaped = True, False
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


@settings(deadline=None)
@given(value=_VALUES, is_ascii=st.booleans(), indent=st.sampled_from([None, 1]), levels=st.integers(0, 9))
def test_depth_is_the_same_as_counted_byte_by_byte(
    value: object, is_ascii: bool, indent: int | None, levels: int
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    assert is_deeper(text.encode(), levels) == (_depth(text) > levels)


@pytest.mark.parametrize("levels", [1, 2, 7, 8, 15, 16, 17, 63, 64, 65, 255, 256])
@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"\\"]":', b"}]")])
def test_exactly_the_allowed_levels_are_not_deeper_and_one_more_is(levels: int, left: bytes, right: bytes) -> None:
    step = 1 if len(right) == 1 else 2
    for towers in (levels // step, levels // step + 1):
        text = left * towers + b"1" + right * towers
        assert is_deeper(text, levels) == (towers * step > levels)
        assert is_deeper(b"[" + b",".join([text] * 50) + b"]", levels + 1) == (towers * step > levels)


@pytest.mark.parametrize("fill", [b"[],", b'"[",', b'"\\"",', b'"\\\\",', b'"",', b'{"":""},'])
def test_brackets_in_strings_and_many_side_by_side_do_not_nest(fill: bytes) -> None:
    assert not is_deeper(b"[" + fill * 5000 + b"1]", 2)
    assert is_deeper(b"[" + fill * 5000 + b"[[1]]]", 2)
