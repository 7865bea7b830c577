"""What the node takes and ships, and the tags for the pages of a property."""

from pathlib import Path

import pytest

from collector.ops.console.node import node_endpoint
from tests.collector.ops.console.looked_up import LookedUp

_PAGES = """
[server]
port = 8090
dialects = ["segment"]
[[property]]
portal_id = 1
prop_id = 7
id = "shop"
required = ["ea", "ec"]
dedup = "26h"
origins = ["https://shop.example.com"]
[[property]]
portal_id = 1
prop_id = 8
source = "pos"
write_keys = ["env:TRACKLOG_TEST_KEY_A"]
"""


@pytest.fixture
def node(tmp_path: Path) -> LookedUp:
    """A node with two properties."""
    return LookedUp(tmp_path, settings=_PAGES)


def test_the_node_tells_its_properties_dialects_and_sinks(node: LookedUp) -> None:
    assert node.json("/api/node") == {
        "event_url": "http://127.0.0.1:8090/event",
        "kept_hours": 24.0,
        "properties": [
            {"property": "1/7", "id": "shop", "source": "web"},
            {"property": "1/8", "id": "1.8", "source": "pos"},
        ],
        "more_properties": 0,
        "dialects": [
            {"name": "event", "types": ["json", "javascript", "pixel", "redirect"]},
            {"name": "segment", "types": ["json"]},
        ],
        "sinks": [],
    }
    assert b"TRACKLOG_TEST_KEY_A" not in node.get("/api/node").body


def test_of_many_properties_the_first_are_listed(node: LookedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_endpoint, "_MOST_PROPERTIES", 1)
    found = node.json("/api/node")
    assert ([each["id"] for each in found["properties"]], found["more_properties"]) == (["shop"], 1)


def test_the_snippet_has_the_tags_and_what_to_mind(node: LookedUp) -> None:
    snippet = node.json("/api/snippet?property=1/7")
    assert '"url":"http://127.0.0.1:8090/event","id":"shop"' in snippet["tags"]
    assert any("Content-Security-Policy" in note for note in snippet["notes"])
    assert any(note.endswith("run collector snippet --property shop --url URL") for note in snippet["notes"])
    assert not any("dedup" in note for note in snippet["notes"])
    assert any("dedup is off" in note for note in node.json("/api/snippet?property=1/8")["notes"])
    assert node.json("/api/snippet?property=1/9", 404)["code"] == "not_found"
    assert node.json("/api/snippet", 400)["code"] == "bad_parameter"
