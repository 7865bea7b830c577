"""Properties by portal and property id, in the form that a request needs."""

import json

import pytest

from collector import config
from collector.registry import Registry

REGISTRY = Registry(
    [
        config.Property(33167, 2, source="pos", required=("ea", "ec")),
        config.Property(33167, 564990801, origins=("https://shop.example.com",), redirect_hosts=("*.example.com",)),
        config.Property(2**53 - 1, 33167),
    ]
)


def test_a_property_is_found_by_both_of_its_ids() -> None:
    prop = REGISTRY.get(33167, 2)
    assert prop is not None
    assert (prop.portal_id, prop.prop_id, prop.required) == (33167, 2, ("ea", "ec"))


@pytest.mark.parametrize(("portal_id", "prop_id"), [(2, 33167), (33167, 3), (0, 0), (1, 564990801)])
def test_no_other_pair_is_a_property(portal_id: int, prop_id: int) -> None:
    assert REGISTRY.get(portal_id, prop_id) is None


def test_lists_are_ready_to_be_asked() -> None:
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
