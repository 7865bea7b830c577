"""Which pages may send to a property and read its answers: every combination."""

import pytest

from collector.errors import Forbidden
from collector.ingest.cors import check_origin, cors_headers, preflight_headers
from collector.registry import Property
from tests.collector.live_intake import pairs_of
from tests.collector.properties import prepared

SHOP = b"https://shop.example.com"
OTHER = b"https://evil.example.net"
LISTED = prepared(origins=("https://shop.example.com", "http://localhost:8000"))
ANY = prepared(origins=("*",))
BOTH = prepared(origins=("*", "https://shop.example.com"))
NONE = prepared()

EXACT = {"access-control-allow-origin": SHOP.decode(), "access-control-allow-credentials": "true", "vary": "origin"}
STAR = {"access-control-allow-origin": "*"}
STAR_VARIES = {**STAR, "vary": "origin"}
VARIES = {"vary": "origin"}


def _cors(prop: Property | None, origin: bytes | None, *, is_s2s: bool = False) -> dict[str, str]:
    """The headers, but for those that say what a page may read."""
    headers = {name.decode(): value.decode() for name, value in pairs_of(cors_headers(prop, origin, is_s2s=is_s2s))}
    exposed = headers.pop("access-control-expose-headers", "x-event-ack, x-event-id, retry-after")
    assert exposed == "x-event-ack, x-event-id, retry-after"
    return headers


@pytest.mark.parametrize(
    ("prop", "origin", "headers"),
    [
        pytest.param(LISTED, SHOP, EXACT, id="listed"),
        pytest.param(LISTED, OTHER, VARIES, id="another than the listed ones"),
        pytest.param(LISTED, b"null", VARIES, id="null is none that is listed"),
        pytest.param(LISTED, b"", VARIES, id="empty is none that is listed"),
        pytest.param(LISTED, b"https://SHOP.example.com", VARIES, id="letter for letter"),
        pytest.param(LISTED, None, VARIES, id="no origin, listed ones"),
        pytest.param(ANY, SHOP, STAR_VARIES, id="star"),
        pytest.param(ANY, b"null", STAR_VARIES, id="star and null"),
        pytest.param(ANY, None, VARIES, id="no origin, star"),
        pytest.param(BOTH, SHOP, EXACT, id="listed beside star"),
        pytest.param(BOTH, OTHER, STAR_VARIES, id="another beside star"),
        pytest.param(NONE, OTHER, STAR, id="no list"),
        pytest.param(NONE, None, {}, id="no list, no origin"),
        pytest.param(None, OTHER, STAR, id="no property"),
        pytest.param(None, None, {}, id="no property, no origin"),
    ],
)
def test_a_page_reads_what_its_origin_lets_it(
    prop: Property | None, origin: bytes | None, headers: dict[str, str]
) -> None:
    assert _cors(prop, origin) == headers


@pytest.mark.parametrize("prop", [LISTED, ANY, BOTH, NONE, None])
@pytest.mark.parametrize("origin", [SHOP, OTHER, None])
def test_a_server_call_has_nothing_to_do_with_pages(prop: Property | None, origin: bytes | None) -> None:
    assert _cors(prop, origin, is_s2s=True) == {}


@pytest.mark.parametrize("prop", [LISTED, ANY, BOTH, NONE, None])
@pytest.mark.parametrize("origin", [SHOP, OTHER, b"null", None])
def test_no_page_that_is_not_listed_gets_credentials(prop: Property | None, origin: bytes | None) -> None:
    headers = _cors(prop, origin)
    if "access-control-allow-credentials" in headers:
        assert prop
        assert origin in prop.origins
        assert headers["access-control-allow-origin"] == SHOP.decode()


@pytest.mark.parametrize(
    ("prop", "origin", "may_send"),
    [
        (LISTED, SHOP, True),
        (LISTED, b"http://localhost:8000", True),
        (LISTED, OTHER, False),
        (LISTED, b"https://shop.example.com.evil.example.net", False),
        (LISTED, b"http://shop.example.com", False),
        (LISTED, b"null", False),
        (LISTED, b"", False),
        (LISTED, b"*", False),
        (LISTED, None, True),
        (ANY, OTHER, True),
        (ANY, None, True),
        (BOTH, OTHER, True),
        (NONE, OTHER, True),
        (NONE, None, True),
    ],
)
def test_a_property_that_lists_origins_refuses_the_others(prop: Property, origin: bytes | None, may_send: bool) -> None:
    try:
        check_origin(prop, origin)
    except Forbidden:
        assert not may_send
    else:
        assert may_send


@pytest.mark.parametrize(
    ("prop", "origin", "first"), [(LISTED, SHOP, EXACT), (ANY, OTHER, STAR_VARIES), (NONE, OTHER, STAR)]
)
def test_a_preflight_says_for_a_day_what_a_page_may_send(prop: Property, origin: bytes, first: dict[str, str]) -> None:
    headers = {name.decode(): value.decode() for name, value in pairs_of(preflight_headers(prop, origin))}
    assert first.items() <= headers.items()
    assert headers["access-control-max-age"] == "86400"
    assert {"content-type", "content-encoding"} <= set(headers["access-control-allow-headers"].split(", "))
    assert "POST" in headers["access-control-allow-methods"]


def test_who_asks_for_options_without_being_a_page_gets_no_preflight() -> None:
    assert preflight_headers(NONE, None) == b""
    assert preflight_headers(LISTED, None) == b"vary: origin\r\n"
