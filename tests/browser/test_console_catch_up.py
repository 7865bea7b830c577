"""The console of a real node: what Live shows of what came before, or meanwhile, and Try in every dialect."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Tab, console_node
from tests.browser.demo import IN_CHROMIUM
from tests.running import Collector

pytestmark = IN_CHROMIUM
_MEANWHILE = 500
_AFTER = 15_000
"""Events after the one that is searched for: more than a stream searches at once."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with console_node(tmp_path_factory.mktemp("console")) as node:
        yield node


def _post(node: Collector, events: int, **fields: str) -> None:
    for first in range(0, events, _MEANWHILE):
        many = [
            {"ea": f"row-{number}", "uid": "u-1", **fields} for number in range(first, min(events, first + _MEANWHILE))
        ]
        assert node.post(many).status == 200


def _has(page: Page, rows: int) -> None:
    expect(page.locator(".list")).to_have_attribute("aria-rowcount", str(rows + 1))


def test_live_shows_all_that_came_while_the_reader_was_in_another_view(node: Collector, tab: Tab) -> None:
    page = tab.open("/live?ec=away")
    _post(node, 1, ec="away")
    _has(page, 1)
    page.get_by_role("link", name="Now", exact=True).click()
    expect(page.get_by_role("heading", name="Now", level=1)).to_be_visible()
    _post(node, _MEANWHILE, ec="away")
    _post(node, 1, ec="last")  # whose block proves that the one before is durable: only such are shown
    page.get_by_role("link", name="Live", exact=True).click()
    _has(page, 1 + _MEANWHILE + 1)
    expect(page.get_by_text("were not shown")).to_have_count(0)


def test_a_text_is_found_behind_thousands_of_other_rows(node: Collector, tab: Tab) -> None:
    _post(node, 1, ec="needle-7f3a")
    _post(node, _AFTER, ec="hay")
    page = tab.open("/live?ec=hay")  # which fills the ring
    page.locator("[name=ec]").fill("")
    page.locator("[name=q]").fill("needle-7f3a")
    _has(page, 1)


@pytest.mark.parametrize("dialect", ["event", "segment", "snowplow", "matomo", "posthog", "cloudevents"])
def test_try_shows_the_event_and_the_command_of_every_dialect(node: Collector, tab: Tab, dialect: str) -> None:
    page = tab.open(f"/try?property=33167/2&dialect={dialect}")
    page.get_by_role("button", name="Send a real event").click()
    answer = page.locator("section", has=page.get_by_role("heading", name="Answer"))
    event_id = answer.locator("h2.id")
    expect(event_id).to_be_visible()
    assert event_id.inner_text() in [record["id"] for record in node.stored()]
    answer.get_by_text("the request as curl").click()
    expect(answer.locator(".command pre")).to_contain_text("curl")


def test_a_redrive_of_a_batch_is_counted_in_events(node: Collector, tab: Tab) -> None:
    batch = json.dumps([{"ec": "till", "uid": f"u-{number}"} for number in range(3)]).encode()
    target = "/event?portal_id=33167&prop_id=3"
    assert node.send("POST", target, batch, content_type="application/json").status == 400
    settings = node.folder / "collector.toml"
    settings.write_text(settings.read_text().replace('"ea", "ec", "sid"', '"ec"'))
    page = tab.open("/dead")
    page.get_by_role("button", name="Preview redrive").click()
    page.get_by_role("button", name="Redrive 3 events").click()
    expect(page.locator(".jobs")).to_contain_text("✓ done")
    page.get_by_role("button", name="Preview redrive").click()
    expect(page.get_by_role("status").filter(has_text="redriven before")).to_be_visible()
    page = tab.open("/now")
    expect(page.get_by_role("row", name="shard redrive")).to_contain_text("nothing left")
    expect(page.locator(".banner")).to_contain_text("all sinks are up")
