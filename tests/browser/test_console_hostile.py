"""The console of a real node in real Chromium, after hostile senders sent all that they could to it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Tab, console_node, ids, listed
from tests.browser.demo import IN_CHROMIUM
from tests.running import Collector, eventually

pytestmark = IN_CHROMIUM
_SCRIPT = "<img src=//evil.example onerror=alert(1)>'\"`</script><script>alert(2)</script>javascript:alert(3)"
_UNSEEN = "a\u202eb\u2066c\u200bd\ufeffe\u2028f\x1bg"
_CHIPS = {"\\u202e", "\\u2066", "\\u200b", "\\ufeff", "\\u2028", "\\u001b"}
_TEXTS = {_SCRIPT: _SCRIPT, "list": [_SCRIPT, {_SCRIPT: _SCRIPT}]}
_EVENT = dict.fromkeys(("ea", "ec", "uid", "aid"), _SCRIPT) | {
    "items": [_TEXTS],
    "extra": _TEXTS,
    "dims": {"a": _TEXTS},
}
_SELF_DESCRIBING = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
_DIALECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "segment": (
        "/v1/track?writeKey=app",
        {"type": "track", "event": _SCRIPT, "userId": _SCRIPT, "properties": _TEXTS, "context": {"page": _TEXTS}},
    ),
    "posthog": ("/capture?api_key=app", {"event": _SCRIPT, "distinct_id": _SCRIPT, "properties": _TEXTS}),
    "snowplow": (
        "/com.snowplowanalytics.snowplow/tp2?aid=app",
        {
            "schema": _SELF_DESCRIBING,
            "data": [{"e": "se"} | dict.fromkeys(("se_ca", "se_ac", "se_la", "uid", "url", "page", "tv"), _SCRIPT)],
        },
    ),
}
_FORM = urlencode(dict.fromkeys(("e_c", "e_a", "e_n", "uid", "url", "urlref", "action_name", "dimension1"), _SCRIPT))
_CLOUD_EVENT = {"specversion": "1.0", "id": _SCRIPT, "source": _SCRIPT, "type": _SCRIPT, "subject": _SCRIPT}
_HEADERS = {"user_agent": _SCRIPT, "referer": _SCRIPT, "x_request_id": _SCRIPT, "origin": _SCRIPT}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with console_node(tmp_path_factory.mktemp("console")) as node:
        node.post(_EVENT, **_HEADERS)
        node.post(_EVENT | dict.fromkeys(("sid", "et", "event_id", "sent_at", _SCRIPT), _SCRIPT), **_HEADERS)
        node.post({"ec": _SCRIPT, "uid": [_SCRIPT]}, **_HEADERS)
        node.post(dict.fromkeys(("ea", "ec", "uid"), _UNSEEN) | {"extra": {_UNSEEN: _UNSEEN}})
        for body in (
            b'{"ea":"lone","ec":"\\ud800 \\udfff","uid":"u"}',
            b'{"ea":"\\u0000","ec":"\xff\x00"}',
            _SCRIPT.encode(),
        ):
            node.post(body)
        node.post({"ea": "long", "ec": "c", "extra": {"text": "x" * 60_000}})
        for path, wanted in _DIALECTS.values():
            answer = node.send("POST", path, json.dumps(wanted).encode(), content_type="application/json")
            assert answer.status == 200, answer
        node.send("POST", "/matomo.php?idsite=app", _FORM.encode(), content_type="application/x-www-form-urlencoded")
        cloud_event = json.dumps(_CLOUD_EVENT | {"data": _EVENT}).encode()
        target = "/event?portal_id=33167&prop_id=2"
        node.send("POST", target, cloud_event, content_type="application/cloudevents+json")
        node.send("GET", f"/event?{urlencode({'portal_id': _SCRIPT, 'prop_id': 9, 'ea': _SCRIPT})}")
        yield node


def _has_no_markup(page: Page) -> None:
    expect(page.locator("img, script:not([src]), iframe, [onerror]")).to_have_count(0)
    links = page.evaluate("[...document.links].map(link => link.origin)")
    assert set(links) == {page.evaluate("location.origin")}


def test_every_row_is_text_in_the_list_and_when_it_is_opened(node: Collector, tab: Tab) -> None:
    page = tab.open("/live")
    expect(page.locator(".sizer [role=row]:visible", has_text="onerror").first).to_be_visible()
    rows = tab.get("/api/search?limit=100")["rows"]
    kept = [row for row in rows if row[1]]
    assert {row[6] or "event" for row in kept} == {"event", "matomo", "cloudevents", *_DIALECTS}
    for row in kept:
        page.evaluate(
            "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }",
            f"/dead/{row[1]}" if row[3] == "dead" else f"/event/{row[1]}",
        )
        expect(page.locator("h2.id")).to_have_text(row[1])
        expect(page.locator(".skeleton")).to_have_count(0)
        _has_no_markup(page)


@pytest.mark.parametrize("view", ["/live", "/now", "/accounts", "/dead", "/log", "/replay", "/try"])
def test_every_view_shows_it_as_text(tab: Tab, view: str) -> None:
    _has_no_markup(tab.open(view))


def test_unseen_characters_are_chips(node: Collector, tab: Tab) -> None:
    page = tab.open(f"/event/{ids(node)[_UNSEEN]}")
    assert set(page.locator(".chip").all_inner_texts()) == _CHIPS
    page = tab.open("/live")
    assert any("a\\u202eb\\u2066c\\u200bd" in row for row in listed(page))


def test_a_letter_of_lone_surrogates_can_be_sent_from_try_and_one_of_bytes_can_not(tab: Tab) -> None:
    page = tab.open("/dead")
    reasons = tab.get("/api/dead")["letters"]
    assert len(reasons) >= 3
    for letter in reasons:
        page = tab.open(f"/try?letter={letter['id']}")
        if tab.get(f"/api/dead/{letter['id']}")["encoding"] == "base64":
            expect(page.get_by_text("It is not text.")).to_be_visible()
            expect(page.get_by_role("button", name="Send a real event")).to_have_count(0)
        else:
            page.get_by_role("button", name="Send a real event").click()
            expect(page.get_by_text("What is refused is in")).to_be_visible()
        _has_no_markup(page)


def test_a_string_of_60_kb_comes_in_parts_and_folded(node: Collector, tab: Tab) -> None:
    page = tab.open(f"/event/{ids(node)['long']}")
    more = page.get_by_role("button", name="next 20 KB")
    for part in (1, 2):
        eventually(lambda part=part: len(page.inner_text("main pre")) > 20_000 * part, "one more part is shown")
        more.click()
    expect(page.get_by_role("button", name="… all 60,000 characters")).to_be_visible()
    assert len(page.inner_text("main")) < 5_000
