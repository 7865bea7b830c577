"""What a terminal would obey, hide or reorder is escaped, and nothing else."""

import json
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wal.tools.terminal import decoded, harmless

_ANYTHING = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[2J\x00\x7f", "a\\u001b[2J\\u0000\\u007f"),
        ("\x80\x9b2J\x9f", "\\u0080\\u009b2J\\u009f"),
        ("\n\r\t", "\\n\\r\\t"),
        ("\u200e\u200f\u061c", "\\u200e\\u200f\\u061c"),
        ("\u202a\u202b\u202c\u202d\u202e", "\\u202a\\u202b\\u202c\\u202d\\u202e"),
        ("\u2066\u2067\u2068\u2069", "\\u2066\\u2067\\u2068\\u2069"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u200b\u200d\ufeff\u00ad", "\\u200b\\u200d\\ufeff\\u00ad"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\ud800", "\\ud800"),
        ("Tivi Samsung 43″, giá rẻ, 商品\u3000😀\xa0\\n", "Tivi Samsung 43″, giá rẻ, 商品\u3000😀\xa0\\n"),
    ],
)
def test_a_character_that_a_terminal_obeys_hides_or_reorders_is_escaped(text: str, expected: str) -> None:
    assert harmless(text) == expected


def test_a_byte_that_is_not_utf_8_is_escaped() -> None:
    assert harmless(decoded(b"\xc4\x91 \xff\x9b \xed\xa0\x80")) == "đ \\udcff\\udc9b \\udced\\udca0\\udc80"


def test_what_is_to_be_kept_is_kept() -> None:
    assert harmless("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


@settings(deadline=None)
@given(_ANYTHING)
def test_what_is_escaped_holds_nothing_harmful_and_stays_as_it_is(text: str) -> None:
    escaped = harmless(text)
    assert not {category(char) for char in escaped} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert harmless(escaped) == escaped


@settings(deadline=None)
@given(_ANYTHING)
def test_json_that_is_escaped_keeps_its_value(text: str) -> None:
    value = {text: [text]}
    assert json.dumps(json.loads(harmless(json.dumps(value, ensure_ascii=False)))) == json.dumps(value)
