"""The pages that may send to a property and read its responses: every combination."""

import pytest

from collector.errors import Forbidden
from collector.ingest.options import ResponseType
from collector.ingest.policy.origins import check_origin, cors_headers, may_read, preflight_headers, sending_origin
from collector.ingest.policy.properties import Property
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
    """The CORS headers, without the list of exposed ones."""
    headers = {name.decode(): value.decode() for name, value in pairs_of(cors_headers(prop, origin, is_s2s=is_s2s))}
    exposed = headers.pop("access-control-expose-headers", "x-event-ack, x-event-duplicate, x-event-id, retry-after")
    assert exposed == "x-event-ack, x-event-duplicate, x-event-id, retry-after"
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
def test_a_page_may_read_the_response_if_its_origin_is_allowed(
    prop: Property | None, origin: bytes | None, headers: dict[str, str]
) -> None:
    assert _cors(prop, origin) == headers


@pytest.mark.parametrize("prop", [LISTED, ANY, BOTH, NONE, None])
@pytest.mark.parametrize("origin", [SHOP, OTHER, None])
def test_a_server_call_gets_no_cors_headers(prop: Property | None, origin: bytes | None) -> None:
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
def test_a_property_with_origins_refuses_other_origins(prop: Property, origin: bytes | None, may_send: bool) -> None:
    headers = {} if origin is None else {b"origin": origin}
    assert all(_may_send(prop, headers, face) is may_send for face in ResponseType)


def _may_send(prop: Property, headers: dict[bytes, bytes], face: ResponseType = ResponseType.PIXEL) -> bool:
    try:
        check_origin(prop, headers, face)
    except Forbidden:
        return False
    return True


def _fetched(site: bytes, **more: bytes) -> dict[bytes, bytes]:
    """Headers of a browser's request; `mode` and `dest` stand for the long names."""
    names = {"mode": b"sec-fetch-mode", "dest": b"sec-fetch-dest", "user": b"sec-fetch-user"}
    return {b"sec-fetch-site": site} | {names.get(name, name.encode()): value for name, value in more.items()}


def _from_elsewhere(referer: bytes | None, **more: bytes) -> dict[bytes, bytes]:
    """A request without an origin from a page of another site, such as for a script tag or an image."""
    return _fetched(b"cross-site", **({} if referer is None else {"referer": referer}), **more)


@pytest.mark.parametrize(
    ("referer", "origin"),
    [
        (b"https://shop.example.com/", SHOP),
        (b"https://shop.example.com/p/1?a=b#c", SHOP),
        (b"https://shop.example.com", SHOP),
        (b"https://shop.example.com?a", SHOP),
        (b"http://localhost:8000/", b"http://localhost:8000"),
        (b"https://evil.example.net/https://shop.example.com/", OTHER),
        (b"https://shop.example.com.evil.example.net/", b"https://shop.example.com.evil.example.net"),
        (b"https://shop.example.com@evil.example.net/", b"null"),
        (b"https://shop.example.com\\@evil.example.net/", b"null"),
        (b"android-app://com.example.shop/", b"android-app://com.example.shop"),
        (b"about:blank", b"null"),
        (b"//shop.example.com/", b"null"),
        (b"https:///", b"null"),
        (b"junk", b"null"),
        (b"\xff\x00", b"null"),
        (b"", b"null"),
        (None, b"null"),
    ],
)
def test_a_request_of_another_site_without_an_origin_comes_from_its_referer(
    referer: bytes | None, origin: bytes
) -> None:
    headers = _from_elsewhere(referer, mode=b"no-cors", dest=b"script")
    assert sending_origin(headers, ResponseType.JAVASCRIPT) == origin
    assert _may_send(LISTED, headers) is (origin in LISTED.origins)
    assert _may_send(ANY, headers)
    assert _may_send(BOTH, headers)
    assert _may_send(NONE, headers)


@pytest.mark.parametrize("site", [b"same-origin", b"same-site", b"none", None])
def test_a_referer_counts_only_if_the_browser_reports_another_site(site: bytes | None) -> None:
    headers = {b"referer": b"https://evil.example.net/"} | ({} if site is None else _fetched(site))
    assert sending_origin(headers, ResponseType.JAVASCRIPT) is None
    assert _may_send(LISTED, headers)


def test_an_origin_has_precedence_over_a_referer() -> None:
    headers = _from_elsewhere(b"https://shop.example.com/", origin=OTHER)
    assert sending_origin(headers, ResponseType.JSON) == OTHER
    assert not _may_send(LISTED, headers)


@pytest.mark.parametrize("referer", [b"https://mail.example.net/", None])
@pytest.mark.parametrize(
    ("mode", "dest", "is_click"),
    [
        (b"navigate", b"document", True),
        (b"navigate", b"iframe", False),
        (b"navigate", b"embed", False),
        (b"no-cors", b"image", False),
        (b"no-cors", b"document", False),
        (b"cors", b"empty", False),
    ],
)
def test_a_click_in_a_foreign_page_is_redirected(
    referer: bytes | None, mode: bytes, dest: bytes, is_click: bool
) -> None:
    headers = _from_elsewhere(referer, mode=mode, dest=dest, user=b"?1")
    assert _may_send(LISTED, headers, ResponseType.REDIRECT) is is_click
    for face in (ResponseType.JAVASCRIPT, ResponseType.JSON, ResponseType.PIXEL):
        assert not _may_send(LISTED, headers, face)


def test_the_origin_of_a_click_is_checked_if_present() -> None:
    """The origin of a posted form is sent, whatever the policy for referers."""
    headers = _from_elsewhere(None, mode=b"navigate", dest=b"document", origin=OTHER)
    assert not _may_send(LISTED, headers, ResponseType.REDIRECT)


@pytest.mark.parametrize(
    ("headers", "listed", "unlisted"),
    [
        pytest.param({}, True, True, id="nothing is said"),
        pytest.param({b"origin": OTHER}, True, True, id="a browser without fetch metadata"),
        pytest.param(_fetched(b"same-origin"), True, True, id="the same origin"),
        pytest.param(_fetched(b"same-site"), True, True, id="the same site"),
        pytest.param(_fetched(b"none", mode=b"navigate"), True, True, id="the address bar"),
        pytest.param(_fetched(b"cross-site", origin=SHOP), True, False, id="a listed origin"),
        pytest.param(_from_elsewhere(b"https://shop.example.com/p"), True, False, id="a listed referer"),
        pytest.param(_fetched(b"cross-site", origin=OTHER), False, False, id="another origin"),
        pytest.param(_from_elsewhere(b"https://evil.example.net/"), False, False, id="another referer"),
        pytest.param(_from_elsewhere(None), False, False, id="no referer"),
        pytest.param(_fetched(b"cross-site", origin=b"null"), False, False, id="null"),
        pytest.param(_fetched(b"cross-site", origin=b"*"), False, False, id="a star"),
        pytest.param(_fetched(b"cross-site", origin=b""), False, False, id="an empty origin"),
        pytest.param(_fetched(b"Cross-Site"), False, False, id="a site that no browser names"),
        pytest.param({b"sec-fetch-dest": b"script"}, False, False, id="metadata without the site"),
        pytest.param({b"sec-fetch-mode": b"cors", b"origin": SHOP}, True, False, id="without the site, listed"),
        pytest.param(_from_elsewhere(None, mode=b"navigate", dest=b"document"), False, False, id="a foreign link"),
    ],
)
def test_a_page_reads_the_ids_of_the_cookie_if_it_is_of_the_same_site_or_listed_by_name(
    headers: dict[bytes, bytes], listed: bool, unlisted: bool
) -> None:
    assert may_read(LISTED, headers) is listed
    assert may_read(BOTH, headers) is listed
    assert may_read(ANY, headers) is unlisted
    assert may_read(NONE, headers) is unlisted


@pytest.mark.parametrize(
    ("prop", "origin", "first"), [(LISTED, SHOP, EXACT), (ANY, OTHER, STAR_VARIES), (NONE, OTHER, STAR)]
)
def test_a_preflight_allows_methods_and_headers_for_a_day(prop: Property, origin: bytes, first: dict[str, str]) -> None:
    headers = {name.decode(): value.decode() for name, value in pairs_of(preflight_headers(prop, origin))}
    assert first.items() <= headers.items()
    assert headers["access-control-max-age"] == "86400"
    assert {"content-type", "content-encoding"} <= set(headers["access-control-allow-headers"].split(", "))
    assert "POST" in headers["access-control-allow-methods"]


def test_options_without_an_origin_gets_no_preflight_headers() -> None:
    assert preflight_headers(NONE, None) == b""
    assert preflight_headers(LISTED, None) == b"vary: origin\r\n"
