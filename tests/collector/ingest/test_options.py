"""Queries: the property of an event, the response type, and the faults of a query."""

from collections.abc import Iterable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadRedirect, BadTarget, NotAClick, NotFound, Rejected
from collector.ingest.options import OptionsReader, RequestOptions, ResponseType, parse_options, redirect_fault
from collector.ingest.policy.properties import Property, Registry
from collector.ingest.policy.redirect import Signer
from collector.ingest.query import PARAMETERS, _meant, parse_pairs
from collector.settings import PropertySettings

PROPERTIES = [PropertySettings(33167, 2, redirect_hosts=("shop.example.com",)), PropertySettings(1, 1)]
REGISTRY = Registry(PROPERTIES)
SIGNER = Signer(b"s" * 64)
NOW_MS = 1_700_000_000_999
NOW = 1_700_000_000
ELSEWHERE = "https://partner.example.net/p?a=b"
PAIR = b"portal_id=33167&prop_id=2"


def _target(query: bytes) -> RequestOptions:
    return parse_options(parse_pairs(query), REGISTRY, SIGNER, lambda: NOW_MS)


def _targets(registry: Registry = REGISTRY) -> OptionsReader:
    return OptionsReader(registry, SIGNER, lambda: NOW_MS)


def _redirect(signature: str, url: str = ELSEWHERE, pair: bytes = PAIR) -> bytes:
    return pair + f"&resp_type=redirect&redirect_url={quote(url, safe='')}&redirect_sig={signature}".encode()


def _code(options: RequestOptions) -> str:
    return options.fault.code if options.fault else ""


def _faults(options: RequestOptions) -> list[str]:
    return [] if options.fault is None else [fault.field for fault in options.fault.faults]


class CountingRegistry(Registry):
    """Counts how often a query was parsed."""

    def __init__(self, properties: Iterable[PropertySettings] = PROPERTIES) -> None:
        super().__init__(properties)
        self.asked = 0

    def get(self, portal_id: int, prop_id: int) -> Property | None:
        self.asked += 1
        return super().get(portal_id, prop_id)


def test_the_response_types_are_the_choices_of_the_parameter() -> None:
    assert [each.value for each in ResponseType] == PARAMETERS["resp_type"].schema["enum"]


@pytest.mark.parametrize("name", [name for name, each in PARAMETERS.items() if "enum" in each.schema])
def test_a_parameter_with_choices_is_checked_and_may_be_left_out(name: str) -> None:
    schema = PARAMETERS[name].schema
    assert schema["default"] in schema["enum"]
    assert _target(PAIR).fault is None
    assert _faults(_target(PAIR + f"&{name}=other".encode())) == [name]


@pytest.mark.parametrize(
    ("query", "face", "is_s2s"),
    [
        (b"portal_id=33167&prop_id=2", ResponseType.JAVASCRIPT, False),
        (b"prop_id=2&portal_id=33167", ResponseType.JAVASCRIPT, False),
        (b"&&portal_id=33167&&prop_id=2&", ResponseType.JAVASCRIPT, False),
        (PAIR + b"&resp_type=javascript", ResponseType.JAVASCRIPT, False),
        (PAIR + b"&resp_type=json", ResponseType.JSON, False),
        (PAIR + b"&resp_type=pixel", ResponseType.PIXEL, False),
        (PAIR + b"&is_s2s=true", ResponseType.JAVASCRIPT, True),
        (PAIR + b"&is_s2s=false&resp_type=json", ResponseType.JSON, False),
        (b"portal%5Fid=%33%33167&prop_id=2&resp_type=js%6Fn", ResponseType.JSON, False),
        (PAIR + b"&resp_type=json&resp_type=pixel", ResponseType.JSON, False),
        (PAIR + b"&portal_id=1&prop_id=1&is_s2s=true&is_s2s=false", ResponseType.JAVASCRIPT, True),
        (PAIR + b"&ea=click&dims={%22a%22:1}&x=100%&%zz=%&\xff=\xe9&;;", ResponseType.JAVASCRIPT, False),
        (PAIR + b"&redirect_url=javascript:alert(1)", ResponseType.JAVASCRIPT, False),
    ],
)
def test_a_query_names_its_property_and_the_response_type(query: bytes, face: ResponseType, is_s2s: bool) -> None:
    options = _target(query)
    has_type = b"resp_type" in query
    assert options == RequestOptions(REGISTRY.get(33167, 2), face, is_s2s, None, None, has_type=has_type)


def test_a_public_id_names_a_property_in_place_of_its_portal_and_property() -> None:
    registry = Registry([PropertySettings(1, 2, id="shop-web"), PropertySettings(1, 3)])
    assert _targets(registry).find(b"id=shop-web")[0].property is registry.get(1, 2)
    assert _targets(registry).find(b"id=1.3&portal_id=x")[0].property is registry.get(1, 3)
    unknown = _targets(registry).find(b"id=1.2")[0]
    assert (_code(unknown), unknown.named) == ("not_found", "1.2")


def test_names_of_any_length_are_not_remembered() -> None:
    before = _meant.cache_info().currsize
    for number in range(20):
        assert _targets().find(PAIR + b"&%b=json" % (b"resp_type%d" % number * 1000))[0].warnings == ()
    assert _meant.cache_info().currsize == before


@pytest.mark.parametrize(
    ("name", "meant"),
    [("resp_tpye", "resp_type"), ("resp_typ", "resp_type"), ("is-s2s", "is_s2s"), ("redirect_urls", "redirect_url")],
)
def test_a_parameter_that_is_a_typing_error_away_from_ours_gets_a_warning(name: str, meant: str) -> None:
    assert _targets().find(PAIR + f"&{name}=json".encode())[0].warnings == (f"{name} is unknown: is it {meant}?",)


@pytest.mark.parametrize("name", ["sid", "aid", "uid", "ids", "prop", "session", "utm_source", "en", "resp_type"])
def test_other_parameters_get_no_warning(name: str) -> None:
    assert _targets().find(PAIR + f"&{name}=json".encode())[0].warnings == ()


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (b"", ["portal_id", "prop_id"]),
        (b"prop_id=2", ["portal_id"]),
        (b"portal_id=33167", ["prop_id"]),
        (b"Portal_Id=33167&prop_id=2", ["portal_id"]),
        (b"portal_id=&prop_id=2", ["portal_id"]),
        (b"portal_id&prop_id=2", ["portal_id"]),
        (b"portal_id=0&prop_id=2", ["portal_id"]),
        (b"portal_id=-1&prop_id=2", ["portal_id"]),
        (b"portal_id=1.0&prop_id=2", ["portal_id"]),
        (b"portal_id=+33167&prop_id=2", ["portal_id"]),
        (b"portal_id=33167%00&prop_id=2", ["portal_id"]),
        (b"portal_id=%D9%A1&prop_id=%C2%B2", ["portal_id", "prop_id"]),
        (b"portal_id=" + b"9" * 20 + b"&prop_id=" + b"9" * 10_000, ["portal_id", "prop_id"]),
        (b"portal_id=%&prop_id=%3", ["portal_id", "prop_id"]),
        (PAIR + b"&resp_type=", ["resp_type"]),
        (PAIR + b"&resp_type=JSON", ["resp_type"]),
        (PAIR + b"&resp_type=xml&is_s2s=1", ["resp_type", "is_s2s"]),
        (b"portal_id=a&prop_id=b&resp_type=c&is_s2s=d", ["portal_id", "prop_id", "resp_type", "is_s2s"]),
    ],
)
def test_all_faults_of_a_query_are_listed(query: bytes, fields: list[str]) -> None:
    options = _target(query)
    assert _code(options) == BadTarget.code
    assert _faults(options) == fields


def test_a_missing_parameter_is_called_missing() -> None:
    fault = _target(b"portal_id=x").fault
    assert fault is not None
    assert [(each.field, each.code, each.message) for each in fault.faults] == [
        ("portal_id", "malformed", "expected an integer of at least 1"),
        ("prop_id", "missing", "missing"),
    ]


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        (b"portal_id=0&prop_id=2", "portal_id", "out_of_range"),
        (b"portal_id=1&prop_id=" + b"9" * 20, "prop_id", "out_of_range"),
        (b"portal_id=1&prop_id=1.5", "prop_id", "malformed"),
        (PAIR + b"&resp_type=xml", "resp_type", "not_allowed"),
        (PAIR + b"&is_s2s=1", "is_s2s", "not_allowed"),
        (PAIR + b"&resp_type=redirect", "redirect_url", "missing"),
        (PAIR + b"&resp_type=redirect&redirect_url=//x", "redirect_url", "malformed"),
        (PAIR + b"&resp_type=redirect&redirect_url=https://x:y/", "redirect_url", "malformed"),
        (PAIR + b"&resp_type=redirect&redirect_url=https://x%5C/", "redirect_url", "malformed"),
        (PAIR + b"&resp_type=redirect&redirect_url=https://unlisted.example.net/", "redirect_url", "not_allowed"),
        (_redirect(SIGNER.sign(ELSEWHERE, 33167, 2, NOW)), "redirect_sig", "expired"),
    ],
)
def test_a_fault_of_a_parameter_has_the_code_of_its_kind(query: bytes, field: str, code: str) -> None:
    fault = _target(query).fault
    assert fault is not None
    assert [(each.field, each.code) for each in fault.faults] == [(field, code)]


@pytest.mark.parametrize(
    "query", [b"portal_id=33167&prop_id=3", b"portal_id=2&prop_id=33167", b"portal_id=9&prop_id=9"]
)
def test_an_unknown_property_is_not_found(query: bytes) -> None:
    options = _target(query)
    assert options.property is None
    assert _code(options) == NotFound.code


def test_a_bad_response_type_is_refused_as_json_and_its_property_is_still_known() -> None:
    options = _target(PAIR + b"&resp_type=xml")
    assert (options.response_type, options.property) == (ResponseType.JSON, REGISTRY.get(33167, 2))


@pytest.mark.parametrize(
    "url",
    ["https://shop.example.com/p?a=b&c=d#e", "http://shop.example.com", "https://shop.example.com/%C3%A9%2F?q=%2B"],
)
def test_a_redirect_to_a_listed_host_has_its_location(url: str) -> None:
    options = _target(PAIR + b"&resp_type=redirect&redirect_url=" + quote(url, safe="").encode())
    assert options == RequestOptions(REGISTRY.get(33167, 2), ResponseType.REDIRECT, False, url.encode(), None)


@pytest.mark.parametrize("fault", [b"&is_s2s=1", b"&queued=true", b"&a=1" * 1001])
def test_a_person_goes_on_whatever_else_is_wrong_with_the_query(fault: bytes) -> None:
    options = _target(PAIR + b"&resp_type=redirect&redirect_url=https://shop.example.com/p" + fault)
    assert options.location == b"https://shop.example.com/p"
    assert _code(options) == "invalid_query"


@pytest.mark.parametrize(
    "query",
    [
        PAIR + b"&resp_type=redirect",
        PAIR + b"&resp_type=redirect&redirect_url=",
        PAIR + b"&resp_type=redirect&redirect_url=https://evil.example.net",
        PAIR + b"&resp_type=redirect&redirect_url=https://evil.net&redirect_url=https://shop.example.com",
        PAIR + b"&resp_type=redirect&redirect_url=%0d%0ahttps://shop.example.com",
        b"portal_id=1&prop_id=1&resp_type=redirect&redirect_url=https://shop.example.com",
    ],
)
def test_a_redirect_to_an_unlisted_host_is_refused_and_has_no_location(query: bytes) -> None:
    options = _target(query)
    assert _code(options) == BadRedirect.code
    assert _faults(options) == ["redirect_url"]
    assert options.location is None


@pytest.mark.parametrize(
    ("query", "token"),
    [
        (PAIR, b""),
        (PAIR + b"&an_session=abc-_9", b"abc-_9"),
        (b"an_session=abc&" + PAIR, b"abc"),
        (PAIR + b"&an_session=", b""),
        (PAIR + b"&an_session=first&an_session=second", b"first"),
        (PAIR + b"&an_session=a%20b\xff", b"a%20b\xff"),
        (PAIR + b"&x_an_session=abc", b""),
        (PAIR + b"&x=an_session=abc", b""),
    ],
)
def test_the_session_token_is_removed_from_the_query(query: bytes, token: bytes) -> None:
    options, found = _targets().find(query)
    assert found == token
    assert options == _target(PAIR)


def test_queries_that_differ_only_in_their_token_are_parsed_once() -> None:
    registry = CountingRegistry()
    targets = _targets(registry)
    assert {targets.find(PAIR + b"&an_session=%d" % number)[0] for number in range(100)} == {targets.find(PAIR)[0]}
    assert registry.asked == 1


def test_the_cache_is_bounded_under_ten_thousand_distinct_queries() -> None:
    registry = CountingRegistry()
    targets = _targets(registry)
    first = targets.find(PAIR + b"&n=0")
    for number in range(1, 10_000):
        targets.find(PAIR + b"&n=%d" % number)
    assert registry.asked == 10_000
    assert targets.find(PAIR + b"&n=9999") == first
    assert registry.asked == 10_000, "the last query is remembered"
    assert targets.find(PAIR + b"&n=0") == first
    assert registry.asked == 10_001, "the first one is not"


def test_the_cache_has_room_for_all_properties() -> None:
    registry = CountingRegistry([PropertySettings(1, number) for number in range(1, 6_001)])
    targets = _targets(registry)
    for _ in range(2):
        for number in range(1, 6_001):
            for face in (b"json", b"pixel"):
                targets.find(b"portal_id=1&prop_id=%d&resp_type=%b" % (number, face))
    assert registry.asked == 12_000


def test_a_long_query_is_never_cached() -> None:
    registry = CountingRegistry()
    targets = _targets(registry)
    query = PAIR + b"&dims=" + b"x" * 1000
    assert targets.find(query) == targets.find(query)
    assert registry.asked == 2


_PIECES = st.sampled_from(
    [b"portal_id=33167", b"prop_id=2", b"resp_type=redirect", b"redirect_url=", b"an_session=", b"&", b"%", b"="]
)


@settings(deadline=None)
@given(st.one_of(st.binary(), st.lists(_PIECES | st.binary(max_size=8)).map(b"".join)))
def test_no_query_raises(query: bytes) -> None:
    options, token = _targets().find(query)
    assert isinstance(options.response_type, ResponseType)
    assert (options.property is None) <= (options.fault is not None)
    assert token in query


def test_a_query_of_too_many_parameters_is_refused_and_its_property_is_still_known() -> None:
    options = _target(PAIR + b"&x=1" * 999)
    assert _code(options) == BadTarget.code
    assert options.property == REGISTRY.get(33167, 2)
    assert _target(PAIR + b"&x=1" * 998).fault is None


@pytest.mark.parametrize(
    ("signed", "is_followed"),
    [("https://partner.example.net/p?a=b", True), ("https://partner.example.net/p", False), (None, False)],
)
def test_a_redirect_to_an_unlisted_host_needs_the_signature_of_its_url(signed: str | None, is_followed: bool) -> None:
    url = "https://partner.example.net/p?a=b"
    signature = f"&redirect_sig={SIGNER.sign(signed, 33167, 2)}" if signed else ""
    options = _target(PAIR + f"&resp_type=redirect&redirect_url={quote(url, safe='')}{signature}".encode())
    assert options.location == (url.encode() if is_followed else None)
    assert (options.fault is None) is is_followed


@pytest.mark.parametrize("ids", [(1, 1), (33167, 1), (1, 2)])
def test_a_signature_is_invalid_for_another_property(ids: tuple[int, int]) -> None:
    options = _target(_redirect(SIGNER.sign(ELSEWHERE, *ids)))
    assert options.location is None
    assert _faults(options) == ["redirect_url"]


@pytest.mark.parametrize(("expires", "is_followed"), [(NOW - 1, False), (NOW, False), (NOW + 1, True)])
def test_a_signature_is_valid_until_it_expires(expires: int, is_followed: bool) -> None:
    options = _target(_redirect(SIGNER.sign(ELSEWHERE, 33167, 2, expires)))
    assert options.location == (ELSEWHERE.encode() if is_followed else None)
    if not is_followed:
        assert _code(options) == BadRedirect.code
        assert options.fault
        assert options.fault.message == "redirect_sig has expired"
        assert _faults(options) == ["redirect_sig"]


def test_a_listed_host_needs_no_signature_and_ignores_an_expired_one() -> None:
    url = "https://shop.example.com/p"
    assert _target(_redirect(SIGNER.sign(url, 33167, 2, NOW - 1), url)).location == url.encode()


@pytest.mark.parametrize("way", ["find", "parse"])
def test_an_expired_signature_is_not_cached_as_valid(way: str) -> None:
    now_ms = NOW_MS
    targets = OptionsReader(REGISTRY, SIGNER, lambda: now_ms)
    query = _redirect(SIGNER.sign(ELSEWHERE, 33167, 2, NOW + 1))
    locations = []
    for now_ms in (NOW_MS, NOW_MS, NOW_MS + 1):  # noqa: B007 - the clock reads it
        options = targets.find(query)[0] if way == "find" else targets.parse(parse_pairs(query))
        locations.append(options.location)
    assert locations == [ELSEWHERE.encode()] * 2 + [None]


def test_a_signature_without_an_expiry_is_checked_once() -> None:
    registry = CountingRegistry()
    targets = _targets(registry)
    query = _redirect(SIGNER.sign(ELSEWHERE, 33167, 2))
    assert targets.find(query) == targets.find(query)
    assert registry.asked == 1


@pytest.mark.parametrize(
    ("query", "is_click", "refused"),
    [
        pytest.param(PAIR, False, None, id="no redirect"),
        pytest.param(PAIR + b"&resp_type=json&redirect_url=https://evil.example.net", False, None, id="another face"),
        pytest.param(_redirect("", "https://shop.example.com/p"), True, None, id="a listed host"),
        pytest.param(_redirect("", "https://shop.example.com/p"), False, NotAClick, id="no click"),
        pytest.param(_redirect(""), True, BadRedirect, id="another host"),
        pytest.param(_redirect(""), False, BadRedirect, id="another host and no click"),
        pytest.param(_redirect(SIGNER.sign(ELSEWHERE, 33167, 2)), True, None, id="signed"),
        pytest.param(_redirect(SIGNER.sign(ELSEWHERE, 33167, 2, NOW + 1)), True, None, id="signed for a while"),
        pytest.param(_redirect(SIGNER.sign(ELSEWHERE, 33167, 2, NOW)), True, BadRedirect, id="expired"),
        pytest.param(_redirect(SIGNER.sign(ELSEWHERE, 1, 1)), True, BadRedirect, id="signed for another property"),
        pytest.param(b"resp_type=redirect", True, BadRedirect, id="no target"),
    ],
)
def test_a_refused_redirect_is_checked_by_todays_rules(
    query: bytes, is_click: bool, refused: type[Rejected] | None
) -> None:
    prop = REGISTRY.get(33167, 2)
    assert prop
    fault = redirect_fault(parse_pairs(query), prop, SIGNER, NOW, is_click=is_click)
    assert (fault and fault.code) == (refused and refused.code)
