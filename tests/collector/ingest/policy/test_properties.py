"""Properties by portal and property id, prepared for requests."""

import json
from typing import Any

import pytest

from collector.errors import BadSettings
from collector.ingest.policy.properties import Registry
from collector.ingest.policy.write_keys import is_key
from collector.settings import PropertySettings
from tests.collector.properties import prepared

REGISTRY = Registry(
    [
        PropertySettings(33167, 2, source="pos", required=("ea", "ec")),
        PropertySettings(33167, 564990801, origins=("https://shop.example.com",), redirect_hosts=("*.example.com",)),
        PropertySettings(2**53 - 1, 33167),
    ]
)


def test_a_property_is_found_by_both_of_its_ids() -> None:
    prop = REGISTRY.get(33167, 2)
    assert prop is not None
    assert (prop.portal_id, prop.prop_id, prop.required) == (33167, 2, ("ea", "ec"))


@pytest.mark.parametrize(("portal_id", "prop_id"), [(2, 33167), (33167, 3), (0, 0), (1, 564990801)])
def test_no_other_pair_of_ids_is_a_property(portal_id: int, prop_id: int) -> None:
    assert REGISTRY.get(portal_id, prop_id) is None


def test_lists_are_prepared_for_look_ups() -> None:
    prop = REGISTRY.get(33167, 564990801)
    assert prop is not None
    assert prop.origins == {b"https://shop.example.com"}
    assert prop.redirect_hosts == {"*.example.com"}


def test_the_members_of_the_stored_record_are_json() -> None:
    prop = REGISTRY.get(2**53 - 1, 33167)
    assert prop is not None
    assert json.loads(b"{%b}" % prop.members) == {"portal_id": 2**53 - 1, "prop_id": 33167, "source": "web"}


def test_a_registry_can_be_empty() -> None:
    assert Registry([]).get(33167, 2) is None


OLD, NEW = "old-" * 4, "new-" * 4


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_KEY", OLD)
    monkeypatch.setenv("NEW_KEY", NEW)
    monkeypatch.setenv("SHORT_KEY", "x" * 15)
    monkeypatch.setenv("EMPTY_KEY", "")


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize(
    ("names", "key", "is_one"),
    [
        (["OLD_KEY"], OLD, True),
        (["OLD_KEY"], NEW, False),
        (["OLD_KEY", "NEW_KEY"], OLD, True),
        (["OLD_KEY", "NEW_KEY"], NEW, True),
        (["NEW_KEY"], OLD, False),
        (["OLD_KEY"], OLD[:-1], False),
        (["OLD_KEY"], OLD + "x", False),
        (["OLD_KEY"], OLD.upper(), False),
        (["OLD_KEY"], "", False),
        ([], OLD, False),
        ([], "", False),
    ],
)
def test_only_the_keys_of_a_property_are_accepted(names: list[str], key: str, is_one: bool) -> None:
    prop = prepared(write_keys=tuple(f"env:{name}" for name in names))
    assert is_key(key.encode(), prop.key_digests) is is_one


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize("name", ["NO_SUCH_KEY", "EMPTY_KEY", "SHORT_KEY"])
def test_a_key_that_is_missing_or_too_short_is_refused_with_its_name_and_not_its_value(name: str) -> None:
    with pytest.raises(BadSettings, match=rf"property 33167/2: expected at least 16 characters .*{name}") as caught:
        prepared(write_keys=("env:OLD_KEY", f"env:{name}"))
    assert "xxx" not in str(caught.value)


def test_a_property_holds_no_key_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD_KEY", OLD)
    assert OLD not in repr(prepared(write_keys=("env:OLD_KEY",)))


@pytest.mark.parametrize(("workers", "let_in"), [(1, 8), (4, 2), (16, 1)])
def test_every_worker_allows_its_share_of_a_rate_and_at_least_one_event(workers: int, let_in: int) -> None:
    prop = Registry([PropertySettings(1, 2, events_per_second=8.0)], workers).get(1, 2)
    assert prop
    assert prop.rate
    assert prop.rate.wait_seconds(0, prop.rate.largest_batch) == 0
    prop.rate.take(prop.rate.largest_batch)
    seconds = workers / 8 if let_in == 1 else 1.0
    for _ in range(let_in):
        assert prop.rate.wait_seconds(seconds) == 0
        prop.rate.take(1)
    assert prop.rate.wait_seconds(seconds) > 0


def test_a_property_without_a_rate_is_not_counted() -> None:
    assert prepared().rate is None


@pytest.mark.parametrize(
    ("settings", "has_user_agent", "has_cookies"),
    [
        ({}, True, True),
        ({"user_agent": "drop"}, False, True),
        ({"cookies": False}, True, False),
        ({"source": "android"}, True, False),
    ],
)
def test_the_rules_for_storage_and_cookies_are_prepared(
    settings: dict[str, Any], has_user_agent: bool, has_cookies: bool
) -> None:
    prop = prepared(**settings)
    assert (prop.has_user_agent, prop.has_cookies, prop.ip) == (has_user_agent, has_cookies, "full")
