"""The session cookie: when it is set, and how it is read."""

from typing import Any

import pytest

from collector.ingest.options import ResponseType
from collector.ingest.policy.cookies import has_cookies, set_cookie, token_in
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
def test_a_web_property_has_cookies_unless_the_settings_or_the_browser_refuse_them(
    settings: dict[str, Any], headers: dict[bytes, bytes], is_s2s: bool, has_them: bool
) -> None:
    for face in ResponseType:
        assert has_cookies(prepared(**settings), headers, face, is_s2s=is_s2s) is has_them


FOREIGN = {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"no-cors", b"sec-fetch-dest": b"script"}


@pytest.mark.parametrize(
    ("face", "has_them"),
    [
        (ResponseType.JAVASCRIPT, False),
        (ResponseType.JSON, False),
        (ResponseType.PIXEL, True),
        (ResponseType.REDIRECT, True),
    ],
)
def test_a_foreign_page_gets_the_cookie_only_if_the_response_reveals_nothing(
    face: ResponseType, has_them: bool
) -> None:
    assert has_cookies(prepared(), FOREIGN, face, is_s2s=False) is has_them
    assert not has_cookies(prepared(), FOREIGN | {b"dnt": b"1"}, face, is_s2s=False)


@pytest.mark.parametrize("face", ResponseType)
def test_a_listed_page_of_another_site_gets_the_cookie_with_every_response_type(face: ResponseType) -> None:
    shop = prepared(origins=("https://shop.example.com",))
    for header in ({b"origin": b"https://shop.example.com"}, {b"referer": b"https://shop.example.com/p/1"}):
        assert has_cookies(shop, FOREIGN | header, face, is_s2s=False)


@pytest.mark.parametrize(
    ("cookies", "token"),
    [
        (b"", b""),
        (b"an_session_33167=abc", b"abc"),
        (b"a=1; an_session_33167=abc; b=2", b"abc"),
        (b"a=1;an_session_33167=abc", b"abc"),
        (b" an_session_33167 = abc ", b"abc"),
        (b"an_session_33167=first; an_session_33167=second", b"first"),
        (b"an_session_33167=a=b", b"a=b"),
        (b"an_session_33167=", b""),
        (b"an_session_33167", b""),
        (b"xan_session_33167=abc", b""),
        (b"an_session_331672=abc", b""),
        (b"an_session_3316=abc; an_session=abc", b""),
        (b"an_session_1=other; an_session_33167=abc", b"abc"),
        (b"AN_SESSION_33167=abc", b""),
        (b"a=an_session_33167=abc", b""),
        (b";;=;an_session_33167=abc", b"abc"),
        (b"a=\xff; an_session_33167=\xff", b"\xff"),
    ],
)
def test_the_token_is_found_among_other_cookies(cookies: bytes, token: bytes) -> None:
    assert token_in(cookies, 33167) == token


def test_a_cookie_over_https_is_sent_by_pages_of_other_sites() -> None:
    assert set_cookie(b"tok-en_", 33167, is_https=True) == (
        b"set-cookie: an_session_33167=tok-en_; Path=/; Max-Age=31536000; HttpOnly; SameSite=None; Secure\r\n"
    )


def test_a_cookie_without_https_stays_with_its_site() -> None:
    assert set_cookie(b"tok-en_", 33167, is_https=False) == (
        b"set-cookie: an_session_33167=tok-en_; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax\r\n"
    )


def test_a_cookie_that_was_set_is_found() -> None:
    cookie = set_cookie(b"tok-en_", 33167, is_https=True).removeprefix(b"set-cookie: ")
    assert token_in(cookie, 33167) == b"tok-en_"
    assert token_in(cookie, 33168) == b"", "another portal on the same host"
