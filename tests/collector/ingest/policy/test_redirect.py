"""Redirects: the table of allowed targets, and of the tricks that must not lead elsewhere."""

import re
from functools import partial
from math import inf
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.errors import BadRedirect
from collector.ingest.policy.redirect import Signer, is_listed, location, parse_expiry
from tests.cost import cpu_seconds

HOSTS = frozenset({"shop.example.com", "*.example.org", "xn--mnchen-3ya.example", "127.0.0.1"})


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://shop.example.com", None),
        ("http://shop.example.com", None),
        ("https://shop.example.com/", None),
        ("https://shop.example.com/p/1?a=b&c=d#e", None),
        ("https://shop.example.com?a=b", None),
        ("https://shop.example.com#e", None),
        ("https://shop.example.com:8443/p", None),
        ("https://shop.example.com:65535", None),
        ("HTTPS://SHOP.Example.COM/Path?Q=1", "https://shop.example.com/Path?Q=1"),
        ("hTTp://shop.example.COM:80/", "http://shop.example.com:80/"),
        ("https://a.example.org", None),
        ("https://a.b.example.org/x", None),
        ("https://A.EXAMPLE.org/x", "https://a.example.org/x"),
        ("https://xn--mnchen-3ya.example/", None),
        ("https://127.0.0.1:8080/", None),
        ("https://shop.example.com/%2F%2Fevil.example.net", None),
        ("https://shop.example.com//evil.example.net/..", None),
        ("https://shop.example.com/a%0d%0aset-cookie:x", None),
        ("https://shop.example.com/100%", None),
        ("https://shop.example.com/?next=https://evil.example.net", None),
        ("https://shop.example.com?@evil.example.net", None),
        ("https://shop.example.com#@evil.example.net", None),
        ("https://shop.example.com/@evil.example.net:80", None),
        ("https://shop.example.com/(a)[b]!$'*+,;=:@-._~|", None),
        ("https://shop.example.com/é?é#é", "https://shop.example.com/%C3%A9?%C3%A9#%C3%A9"),
        ('https://shop.example.com/"<>{}^`', "https://shop.example.com/%22%3C%3E%7B%7D%5E%60"),
        ("https://shop.example.com/\x85\xa0\u2028", "https://shop.example.com/%C2%85%C2%A0%E2%80%A8"),
    ],
)
def test_a_click_may_lead_to_a_listed_host(url: str, sent: str | None) -> None:
    assert location(url, HOSTS) == (sent or url).encode()


ELSEWHERE = [
    pytest.param("https://evil.example.net", id="another host"),
    pytest.param("https://example.com", id="the host above"),
    pytest.param("https://x.shop.example.com", id="a host below, without a wildcard"),
    pytest.param("https://shop.example.com.evil.example.net", id="a listed name in front"),
    pytest.param("https://evil-shop.example.com", id="a listed name behind"),
    pytest.param("https://example.org", id="the apex of a wildcard"),
    pytest.param("https://evilexample.org", id="a wildcard without its dot"),
    pytest.param("https://evil.example.net#@shop.example.com", id="a listed name behind the fragment"),
    pytest.param("https://evil.example.net?@shop.example.com", id="a listed name in the query"),
    pytest.param("https://evil.example.net/shop.example.com", id="a listed name in the path"),
    pytest.param("https://xn--shp-jma.example.com", id="punycode that is not listed"),
    pytest.param("https://127.1/", id="a short address"),
    pytest.param("https://2130706433/", id="an address as one number"),
    pytest.param("https://0x7f.0.0.1/", id="an address in hexadecimal"),
]
TRICKS = [
    "",
    "https://",
    "http:",
    "https",
    "shop.example.com",
    "/p/1",
    "?a=b",
    pytest.param("https://.example.org", id="a wildcard's empty label"),
    pytest.param("https://a..example.org", id="an empty label"),
    pytest.param("https://*.example.org", id="the wildcard itself"),
    pytest.param("https://shop.example.com.", id="a trailing dot"),
    pytest.param("https://a.example.org.", id="a trailing dot below a wildcard"),
    pytest.param("https://u@shop.example.com", id="a user"),
    pytest.param("https://u:p@shop.example.com", id="a user and a password"),
    pytest.param("https://@shop.example.com", id="an empty user"),
    pytest.param("https://shop.example.com@evil.example.net", id="a listed name as user"),
    pytest.param("https://shop.example.com:443@evil.example.net", id="a listed name and a port as user"),
    pytest.param("https:\\\\shop.example.com", id="backslashes for slashes"),
    pytest.param("https://evil.example.net\\@shop.example.com", id="a backslash before the user"),
    pytest.param("https://shop.example.com\\.evil.example.net", id="a backslash behind the host"),
    pytest.param("https://shop.example.com/\\evil.example.net", id="a backslash in the path"),
    pytest.param("//shop.example.com", id="scheme-relative"),
    pytest.param("///shop.example.com", id="three slashes"),
    pytest.param("https:///shop.example.com", id="no host and a path"),
    pytest.param("https:shop.example.com", id="no slashes"),
    pytest.param("https:/shop.example.com", id="one slash"),
    pytest.param("://shop.example.com", id="no scheme"),
    pytest.param("javascript:alert(1)", id="a script"),
    pytest.param("javascript://shop.example.com/%0aalert(1)", id="a script with a host"),
    pytest.param("JavaScript://shop.example.com", id="a script in capitals"),
    pytest.param("data:text/html,<script>alert(1)</script>", id="data"),
    pytest.param("vbscript://shop.example.com", id="another script"),
    pytest.param("ftp://shop.example.com", id="ftp"),
    pytest.param("file://shop.example.com/etc/passwd", id="a file"),
    pytest.param("https+x://shop.example.com", id="a scheme that begins alike"),
    pytest.param("http\u017f://shop.example.com", id="a long s in the scheme"),
    pytest.param("https://sh\u043ep.example.com", id="a Cyrillic o"),
    pytest.param("https://\u017fhop.example.com", id="a long s"),
    pytest.param("https://shop\u3002example.com", id="an ideographic full stop"),
    pytest.param("https://shop.example.com\uff0f.evil.example.net", id="a full-width slash"),
    pytest.param("https://sho\uff50.example.com", id="a full-width p"),
    pytest.param("https://evil.example.net\u2100shop.example.com", id="a character that normalizes to a/c"),
    pytest.param("https://münchen.example", id="a name that is listed as punycode"),
    pytest.param("https://shop.example.com%2f.evil.example.net", id="an encoded slash in the host"),
    pytest.param("https://shop.example.com%40evil.example.net", id="an encoded user"),
    pytest.param("https://shop%2eexample.com", id="an encoded dot"),
    pytest.param("https://shop.example.com;.evil.example.net", id="a semicolon"),
    pytest.param("https://shop.example.com&.evil.example.net", id="an ampersand"),
    pytest.param("https://shop.example.com,evil.example.net", id="a comma"),
    pytest.param("https://shop.example.com:", id="an empty port"),
    pytest.param("https://shop.example.com:65536", id="a port too high"),
    pytest.param("https://shop.example.com:-1", id="a negative port"),
    pytest.param("https://shop.example.com:http", id="a port by name"),
    pytest.param("https://shop.example.com:0443", id="a port with a leading zero"),
    pytest.param("https://shop.example.com:\uff14\uff14\uff13", id="a full-width port"),
    pytest.param("https://shop.example.com:443:443", id="two ports"),
    pytest.param("https://shop.example.com:443.evil.example.net", id="a port that is a name"),
    pytest.param(f"https://{'a.' * 127}example.com", id="a host of too many labels"),
    pytest.param("https://m\u00fcller.example.com", id="a host that is not ASCII"),
    pytest.param("https:/\u0344/shop.example.com", id="a mark between the slashes"),
    pytest.param("https://[::1]/", id="IPv6"),
    pytest.param("https://[::ffff:127.0.0.1]/", id="IPv6 around a listed address"),
    pytest.param("https://[::1", id="half of IPv6"),
    pytest.param("https://[shop.example.com]/", id="a name in brackets"),
    pytest.param("https://shop.example.com[evil.example.net]", id="brackets behind a name"),
    pytest.param("https://shop.example.com/\r\nset-cookie: x=y", id="a second header"),
    pytest.param("https://shop.example.com\r\n", id="a line break behind"),
    pytest.param("\r\nhttps://shop.example.com", id="a line break in front"),
    pytest.param("https://shop.exam\tple.com", id="a tab inside the host"),
    pytest.param("ht\ntps://shop.example.com", id="a line break inside the scheme"),
    pytest.param("java\tscript:alert(1)", id="a tab inside a script"),
    pytest.param("https://shop.example.com/\x00", id="NUL"),
    pytest.param("\x01https://shop.example.com", id="a control character in front"),
    pytest.param("https://shop.example.com/\x7f", id="DEL"),
    pytest.param("https://shop.example.com\x1b[0m", id="an escape sequence"),
    pytest.param(" javascript:alert(1)", id="a space before a script"),
]


@pytest.mark.parametrize("url", [*ELSEWHERE, *TRICKS])
def test_a_click_may_lead_nowhere_else(url: str) -> None:
    with pytest.raises(BadRedirect, match=r"^redirect_url "):
        location(url, HOSTS)


@pytest.mark.parametrize("units", [("a.",), ("\u0344", "\u0327")])
def test_a_long_host_is_refused_in_linear_time(units: tuple[str, ...]) -> None:
    def refuse(times: int) -> None:
        with pytest.raises(BadRedirect):
            location(f"https://a{''.join(unit * times for unit in units)}b/", HOSTS)

    refuse(1)
    assert cpu_seconds(partial(refuse, 8000)) < 200 * cpu_seconds(partial(refuse, 200))  # the square: some 1,000


def test_an_empty_list_allows_no_host() -> None:
    with pytest.raises(BadRedirect):
        location("https://shop.example.com", frozenset())


@pytest.mark.parametrize(
    ("host", "is_there"),
    [
        ("shop.example.com", True),
        ("a.example.org", True),
        ("a.b.c.example.org", True),
        ("example.org", False),
        ("org", False),
        ("example.com", False),
        ("a.shop.example.com", False),
        ("", False),
    ],
)
def test_a_wildcard_stands_for_one_or_more_labels(host: str, is_there: bool) -> None:
    assert is_listed(host, HOSTS) is is_there


def test_a_wildcard_with_its_apex_covers_both() -> None:
    hosts = frozenset({"example.org", "*.example.org"})
    assert is_listed("example.org", hosts)
    assert is_listed("a.example.org", hosts)


_PIECES = st.sampled_from(
    [
        *(
            "https",
            "http",
            "HTTP",
            "javascript",
            ":",
            "/",
            "//",
            "\\",
            "@",
            "?",
            "#",
            ".",
            ";",
            "%2f",
            "%00",
            ":80",
            "[",
            "]",
        ),
        *("shop.example.com", "Shop.Example.com", "example.org", "a.example.org", "evil.example.net", "127.0.0.1"),
    ]
)
_URLS = st.one_of(
    st.text(),
    st.lists(_PIECES | st.text(max_size=2), max_size=10).map("".join),
    st.tuples(
        st.sampled_from(["https://", "http://"]), _PIECES, st.lists(_PIECES | st.text(max_size=2), max_size=4)
    ).map(lambda parts: parts[0] + parts[1] + "".join(parts[2])),
)


@settings(deadline=None, max_examples=1000)
@given(_URLS)
@example("https://shop.example.com/é")
@example("HTTPS://a.b.EXAMPLE.org:8443?\u2028#@")
def test_any_accepted_url_leads_to_a_listed_host_over_http(url: str) -> None:
    try:
        sent = location(url, HOSTS)
    except BadRedirect:
        return
    parts = urlsplit(sent.decode("ascii"))
    assert parts.scheme in ("http", "https")
    assert parts.username is None
    assert parts.password is None
    assert parts.hostname is not None
    assert is_listed(parts.hostname, HOSTS)
    assert parts.netloc == (parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}")
    assert all(0x20 < byte < 0x7F for byte in sent)
    assert b"\\" not in sent


def test_a_host_that_is_part_of_the_scheme_is_refused() -> None:
    assert location("https://p/x", frozenset({"p"})) == b"https://p/x"


def test_a_space_in_a_half_encoded_link_is_encoded() -> None:
    assert location("https://a.example/p q?x=y z", frozenset({"a.example"})) == b"https://a.example/p%20q?x=y%20z"


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_signature_allows_unlisted_hosts(url: str) -> None:
    assert location(url, HOSTS, is_signed=True) == url.encode()
    assert location(url, frozenset(), is_signed=True) == url.encode()


@pytest.mark.parametrize("url", TRICKS)
def test_a_trick_is_refused_even_if_it_is_signed(url: str) -> None:
    with pytest.raises(BadRedirect):
        location(url, HOSTS, is_signed=True)


SIGNER = Signer(b"s" * 64)
NOW = 1_700_000_000


def test_a_signature_needs_no_escape_in_a_query() -> None:
    for number in range(100):
        url = f"https://a.example/{number}"
        assert re.fullmatch("[A-Za-z0-9_-]{20}", SIGNER.sign(url, 33167, 2))
        assert re.fullmatch(r"1700000000\.[A-Za-z0-9_-]{20}", SIGNER.sign(url, 33167, 2, NOW))


def test_a_signature_stays_the_same_from_version_to_version_and_from_node_to_node() -> None:
    for signer in (SIGNER, Signer(b"s" * 64)):
        assert signer.sign("https://a.example/p?x=é", 33167, 2) == "tecZpVaD4Cp0pBxh980F"
        assert signer.sign("https://a.example/p?x=é", 33167, 2, NOW) == "1700000000.zdcRzYucaHTUEufdou4M"


@pytest.mark.parametrize(("expires", "until"), [(None, inf), (NOW, NOW), (0, 0)])
@pytest.mark.parametrize("url", ["https://a.example/p", "", "é\ud800", ":", "1:2"])
def test_a_signature_is_valid_only_for_its_own_url_and_property(url: str, expires: int | None, until: float) -> None:
    signature = SIGNER.sign(url, 33167, 2, expires)
    assert SIGNER.valid_until(url, 33167, 2, signature) == until
    assert SIGNER.valid_until(url + "/", 33167, 2, signature) is None
    assert SIGNER.valid_until(url, 33167, 3, signature) is None
    assert SIGNER.valid_until(url, 3316, 72, signature) is None
    assert SIGNER.valid_until(url, 33168, 2, signature) is None
    for other in ("", signature[:-1], signature + "A", signature.swapcase(), f" {signature}", "é" * 20, "\ud800"):
        assert SIGNER.valid_until(url, 33167, 2, other) is None
    assert Signer(b"t" * 64).valid_until(url, 33167, 2, signature) is None


@pytest.mark.parametrize(
    "forged", ["", "{later}.", ".", "0{now}.", "+{now}.", " {now}.", "{now}..", "{now}.{now}.", "é."]
)
def test_the_expiry_of_a_signature_is_signed_too(forged: str) -> None:
    mac = SIGNER.sign("https://a.example/p", 33167, 2, NOW).partition(".")[2]
    signature = forged.format(now=NOW, later=NOW + 1) + mac
    assert SIGNER.valid_until("https://a.example/p", 33167, 2, signature) is None


def test_no_part_of_a_url_can_be_moved_into_the_expiry() -> None:
    """Nor the reverse: an expiry is digits, and a URL with a number in front is another URL."""
    mac = SIGNER.sign("https://a.example/p", 33167, 2)
    assert SIGNER.valid_until("//a.example/p", 33167, 2, f":https.{mac}") is None
    expiring = SIGNER.sign("https://a.example/p", 33167, 2, NOW).partition(".")[2]
    assert SIGNER.valid_until(f"{NOW}:https://a.example/p", 33167, 2, expiring) is None


@pytest.mark.parametrize(
    ("text", "expires"),
    [
        ("1s", NOW + 1),
        ("10m", NOW + 600),
        ("12h", NOW + 43_200),
        ("30d", NOW + 30 * 86_400),
        ("2w", NOW + 14 * 86_400),
        ("2026-12-31", 1_798_675_200),
        ("2026-12-31T00:00Z", 1_798_675_200),
        ("2026-12-31T01:00:00+01:00", 1_798_675_200),
        ("2026-12-31 00:00:00.9", 1_798_675_200),
        ("1798675200999", 1_798_675_200),
    ],
)
def test_an_expiry_is_a_time_or_a_duration_from_now(text: str, expires: int) -> None:
    assert parse_expiry(text, NOW) == expires


@pytest.mark.parametrize(
    "text",
    ["", "30", "d", "1.5d", "-1d", "+1d", "0s", "1y", "1_0d", "\u0661d", "now", "2023-11-14T22:13:20Z", "0001-01-01"],
)
def test_a_text_that_is_not_a_future_time_is_refused_as_an_expiry(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected e\.g\. 30d"):
        parse_expiry(text, NOW)
