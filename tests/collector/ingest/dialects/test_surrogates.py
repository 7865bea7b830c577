"""Lone surrogates become U+FFFD; pairs and escaped backslashes stay."""

import pytest

from collector.ingest.dialects.surrogates import mended


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\uDE00"', rb'"\ufffd"'),
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d\ud83d\ude00\ude00"', rb'"\ufffd\ud83d\ude00\ufffd"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\ud83dx\ude00"', rb'"\ufffdx\ufffd"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\ud83d\\ude00"', rb'"\ufffd\\ude00"'),
        (rb'"\u00e9 \n"', rb'"\u00e9 \n"'),
        (b'"\\ud83d\0\0"', b'"\\ud83d\0\0"'),
    ],
)
def test_only_lone_surrogates_are_replaced(body: bytes, expected: bytes) -> None:
    assert mended(body) == expected


def test_a_long_body_stays_as_it_is() -> None:
    body = b'"' + rb"\ud83d" * 180_000 + b'"'
    assert mended(body) is body
