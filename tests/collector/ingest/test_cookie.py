"""The session's cookie: who gets it, and what is read of one."""

from typing import Any

import pytest

from collector.ingest.cookie import has_cookies, set_cookie, token_in
from tests.collector.properties import prepared


@pytest.mark.parametrize(
    ("settings", "headers", "is_s2s", "has_them"),
    [
        ({}, {}, False, True),
        ({}, {}, True, False),
        ({"cookies": False}, {}, False, False),
        ({"source": "android"}, {}, False, False),
        ({"source": "pos", "cookies": True}, {}, False, False),
        ({}, {b"dnt": b"1"}, False, False),
        ({}, {b"dnt": b" 1 "}, False, False),
        ({}, {b"dnt": b"0"}, False, True),
        ({}, {b"dnt": b""}, False, True),
        ({}, {b"sec-gpc": b"1"}, False, False),
        ({}, {b"sec-gpc": b"0"}, False, True),
        ({}, {b"dnt": b"0", b"sec-gpc": b"1"}, False, False),
    ],
)
def test_a_web_property_has_cookies_unless_somebody_does_not_want_them(
    settings: dict[str, Any], headers: dict[bytes, bytes], is_s2s: bool, has_them: bool
) -> None:
    assert has_cookies(prepared(**settings), headers, is_s2s=is_s2s) is has_them


@pytest.mark.parametrize(
    ("cookies", "token"),
    [
        (b"", b""),
        (b"an_session=abc", b"abc"),
        (b"a=1; an_session=abc; b=2", b"abc"),
        (b"a=1;an_session=abc", b"abc"),
        (b" an_session = abc ", b"abc"),
        (b"an_session=first; an_session=second", b"first"),
        (b"an_session=a=b", b"a=b"),
        (b"an_session=", b""),
        (b"an_session", b""),
        (b"xan_session=abc", b""),
        (b"an_session2=abc", b""),
        (b"AN_SESSION=abc", b""),
        (b"a=an_session=abc", b""),
        (b";;=;an_session=abc", b"abc"),
        (b"a=\xff; an_session=\xff", b"\xff"),
    ],
)
def test_the_token_is_found_among_other_cookies(cookies: bytes, token: bytes) -> None:
    assert token_in(cookies) == token


def test_a_cookie_over_https_goes_to_pages_of_other_sites() -> None:
    assert set_cookie(b"tok-en_", is_https=True) == (
        b"set-cookie: an_session=tok-en_; Path=/; Max-Age=31536000; HttpOnly; SameSite=None; Secure\r\n"
    )


def test_a_cookie_without_https_stays_with_its_site() -> None:
    assert set_cookie(b"tok-en_", is_https=False) == (
        b"set-cookie: an_session=tok-en_; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax\r\n"
    )


def test_a_cookie_that_is_set_is_found() -> None:
    assert token_in(set_cookie(b"tok-en_", is_https=True).removeprefix(b"set-cookie: ")) == b"tok-en_"
