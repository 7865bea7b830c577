"""The client's address: headers of proxies, forged headers, and the part that may be stored."""

from ipaddress import ip_network
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.ingest.policy.client_address import Client, client_of, kept_address

TRUSTED = tuple(ip_network(each) for each in ("10.0.0.0/8", "192.0.2.1/32", "fd00::/8"))
PEER = "10.0.0.1"


def _client(*headers: tuple[str, str], peer: str | None = PEER, scheme: str = "http") -> Client:
    """The client of a request with these headers; `xff` and `proto` stand for the long names."""
    names = {"xff": "x-forwarded-for", "proto": "x-forwarded-proto"}
    raw = [(names.get(name, name).encode(), value.encode("latin-1")) for name, value in headers]
    return client_of(peer, scheme, raw, TRUSTED)


@pytest.mark.parametrize(
    ("headers", "ip"),
    [
        pytest.param([], PEER, id="nothing said"),
        pytest.param([("xff", "203.0.113.7")], "203.0.113.7", id="one hop"),
        pytest.param([("xff", "203.0.113.7, 10.1.1.1")], "203.0.113.7", id="two proxies"),
        pytest.param([("xff", "203.0.113.7,10.1.1.1 ,  192.0.2.1")], "203.0.113.7", id="three proxies and spaces"),
        pytest.param([("xff", "6.6.6.6, 203.0.113.7")], "203.0.113.7", id="forged on the left"),
        pytest.param([("xff", "10.9.9.9, 203.0.113.7, 10.1.1.1")], "203.0.113.7", id="a proxy's address forged"),
        pytest.param([("xff", "junk, 203.0.113.7")], "203.0.113.7", id="junk forged on the left"),
        pytest.param([("xff", "203.0.113.7, junk")], PEER, id="junk on the right"),
        pytest.param([("xff", "203.0.113.7, junk, 10.1.1.1")], PEER, id="junk between"),
        pytest.param([("xff", "203.0.113.7"), ("xff", "10.1.1.1")], "203.0.113.7", id="several headers"),
        pytest.param([("xff", "6.6.6.6"), ("xff", "203.0.113.7")], "203.0.113.7", id="a forged header in front"),
        pytest.param([("xff", "10.3.3.3, 10.2.2.2")], "10.3.3.3", id="all of them trusted: the first"),
        pytest.param([("xff", "")], PEER, id="empty"),
        pytest.param([("xff", ",")], PEER, id="empty elements"),
        pytest.param([("xff", "203.0.113.7,")], PEER, id="an empty last element"),
        pytest.param([("xff", "203.0.113.7:4711")], "203.0.113.7", id="a port"),
        pytest.param([("xff", "203.0.113.7:")], PEER, id="half a port"),
        pytest.param([("xff", '"203.0.113.7"')], "203.0.113.7", id="quoted"),
        pytest.param([("xff", "2001:db8::7")], "2001:db8::7", id="IPv6"),
        pytest.param([("xff", "2001:DB8:0:0:0:0:0:7")], "2001:db8::7", id="IPv6 written long"),
        pytest.param([("xff", "[2001:db8::7]")], "2001:db8::7", id="IPv6 in brackets"),
        pytest.param([("xff", "[2001:db8::7]:4711")], "2001:db8::7", id="IPv6 and a port"),
        pytest.param([("xff", "2001:db8::7, fd00::1")], "2001:db8::7", id="an IPv6 proxy"),
        pytest.param([("xff", "::ffff:203.0.113.7")], "203.0.113.7", id="mapped IPv4"),
        pytest.param([("xff", "203.0.113.7, ::ffff:10.1.1.1")], "203.0.113.7", id="a mapped proxy"),
        pytest.param([("xff", "fe80::1%eth0")], PEER, id="an interface"),
        pytest.param([("xff", "203.0.113.256")], PEER, id="no address"),
        pytest.param([("xff", "203.0.113.07")], PEER, id="octal"),
        pytest.param([("xff", "unknown")], PEER, id="unknown"),
        pytest.param([("xff", "shop.example.com")], PEER, id="a name"),
        pytest.param([("xff", "203.0.113.7\xe9")], PEER, id="other bytes"),
        pytest.param([("forwarded", "for=203.0.113.7")], "203.0.113.7", id="Forwarded"),
        pytest.param([("forwarded", "For=203.0.113.7;proto=http;by=10.0.0.1")], "203.0.113.7", id="all of it"),
        pytest.param([("forwarded", "proto=https; for=203.0.113.7")], "203.0.113.7", id="in another order"),
        pytest.param([("forwarded", 'for="[2001:db8::7]:4711"')], "2001:db8::7", id="Forwarded with IPv6"),
        pytest.param([("forwarded", "for=6.6.6.6, for=203.0.113.7, for=10.1.1.1")], "203.0.113.7", id="forged there"),
        pytest.param([("forwarded", "for=6.6.6.6"), ("forwarded", "for=203.0.113.7")], "203.0.113.7", id="twice"),
        pytest.param([("forwarded", "for=unknown")], PEER, id="Forwarded: unknown"),
        pytest.param([("forwarded", "for=_hidden")], PEER, id="Forwarded: hidden"),
        pytest.param([("forwarded", "proto=https")], PEER, id="Forwarded without an address"),
        pytest.param([("forwarded", "nonsense")], PEER, id="Forwarded: nonsense"),
        pytest.param([("xff", "203.0.113.7"), ("forwarded", "for=203.0.113.7")], "203.0.113.7", id="both agree"),
        pytest.param([("xff", "203.0.113.7"), ("forwarded", "for=6.6.6.6")], PEER, id="they contradict each other"),
        pytest.param([("xff", "203.0.113.7"), ("forwarded", "for=unknown")], "203.0.113.7", id="one can't be read"),
        pytest.param([("x-real-ip", "203.0.113.7"), ("via", "1.1 x")], PEER, id="other headers"),
    ],
)
def test_a_trusted_proxy_is_believed_from_the_right(headers: list[tuple[str, str]], ip: str) -> None:
    assert _client(*headers).ip == ip


@pytest.mark.parametrize("peer", ["203.0.113.9", "11.0.0.1", "192.0.2.2", "2001:db8::1", "::ffff:203.0.113.9", "junk"])
def test_only_trusted_proxies_are_believed(peer: str) -> None:
    headers = [("xff", "6.6.6.6"), ("forwarded", "for=6.6.6.6;proto=https"), ("proto", "https")]
    assert _client(*headers, peer=peer) == Client(peer, is_https=False)


@pytest.mark.parametrize("peer", ["10.255.0.1", "192.0.2.1", "fd00::99", "::ffff:10.0.0.1"])
def test_a_proxy_is_recognized_by_its_network(peer: str) -> None:
    assert _client(("xff", "203.0.113.7"), peer=peer).ip == "203.0.113.7"


def test_without_trusted_proxies_no_header_is_believed() -> None:
    headers = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-proto", b"https")]
    assert client_of(PEER, "http", headers, ()) == Client(PEER, is_https=False)


def test_a_peer_without_an_address_stays_unknown() -> None:
    assert _client(("xff", "203.0.113.7"), peer=None) == Client(None, is_https=False)


@pytest.mark.parametrize(
    ("headers", "scheme", "is_https"),
    [
        ([], "http", False),
        ([], "https", True),
        ([("proto", "https")], "http", True),
        ([("proto", "HTTPS")], "http", True),
        ([("proto", "http")], "https", False),
        ([("proto", "http, https")], "http", True),
        ([("proto", "https"), ("proto", "http")], "http", False),
        ([("forwarded", "for=203.0.113.7;proto=https")], "http", True),
        ([("forwarded", 'for=203.0.113.7;Proto="https"')], "http", True),
        ([("forwarded", "proto=http, proto=https")], "http", True),
        ([("forwarded", "for=203.0.113.7"), ("proto", "https")], "http", True),
        ([("proto", "junk")], "https", False),
    ],
)
def test_the_nearest_proxy_decides_whether_the_client_used_https(
    headers: list[tuple[str, str]], scheme: str, is_https: bool
) -> None:
    assert _client(*headers, scheme=scheme).is_https is is_https


@pytest.mark.parametrize(("scheme", "is_https"), [("http", False), ("https", True)])
def test_a_client_without_a_proxy_is_known_by_its_own_connection(scheme: str, is_https: bool) -> None:
    assert _client(("proto", "https"), peer="203.0.113.9", scheme=scheme).is_https is is_https


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["xff", "forwarded", "proto"]), st.text(st.characters(max_codepoint=255)))))
def test_no_header_raises(headers: list[tuple[str, str]]) -> None:
    assert _client(*headers).ip


@pytest.mark.parametrize(
    ("ip", "rule", "kept"),
    [
        ("203.0.113.7", "full", "203.0.113.7"),
        ("203.0.113.7", "truncate", "203.0.113.0"),
        ("203.0.113.7", "drop", None),
        ("2001:db8:1:2:3:4:5:6", "full", "2001:db8:1:2:3:4:5:6"),
        ("2001:db8:1:2:3:4:5:6", "truncate", "2001:db8:1::"),
        ("2001:db8:1:2:3:4:5:6", "drop", None),
        ("::ffff:203.0.113.7", "truncate", "203.0.113.0"),
        ("::1", "truncate", "::"),
        ("junk", "truncate", None),
        ("", "truncate", None),
        ("203.0.113.7:80", "truncate", None),
        ("203.0.113.7, 203.0.113.8", "truncate", None),
        ("fe80::1%eth0", "truncate", "fe80::"),
        ("9" * 60_000, "truncate", None),
        ("1:" * 30_000, "truncate", None),
        (None, "full", None),
        (None, "truncate", None),
        (None, "drop", None),
    ],
)
def test_a_property_keeps_an_address_whole_truncated_or_not_at_all(
    ip: str | None, rule: Literal["full", "truncate", "drop"], kept: str | None
) -> None:
    assert kept_address(ip, rule) == kept
