"""Which hosts name this node."""

import pytest

from collector.ops.console.access.hosts import is_own_host

_NAMES = ("tracklog.example.com", "collector")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8081", "10.1.2.3:80", "[::1]:8081", "[2001:db8::7]", "[::ffff:127.0.0.1]", "localhost",
     "LOCALHOST:8081", "tracklog.example.com", "Tracklog.Example.COM:443", "collector:8081"],
)  # fmt: skip
def test_addresses_localhost_and_listed_names_are_this_node(host: str) -> None:
    assert is_own_host([host], _NAMES)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example", "127.0.0.1.evil.example:8081", "localhost.evil.example",
     "localhost.", "evil.example@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1:8081@evil.example", "127.1",
     "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:8081:8081", "::1",
     "[::1", "[::1]evil", "[::1%25lo]", "[evil.example]", "[]", "127.0.0.1/evil", "127.0.0.1 ",
     "127.0.0.1, evil.example", "127.0.0.\xb9",
     "evil-collector", "collector.evil.example", "tracklog.example.com.", "127.0.0.1\x00evil", "a" * 300],
)  # fmt: skip
def test_any_other_host_is_not(host: str) -> None:
    assert not is_own_host([host], _NAMES)


def test_there_must_be_exactly_one_host() -> None:
    assert not is_own_host([], _NAMES)
    assert not is_own_host(["127.0.0.1", "127.0.0.1"], _NAMES)
