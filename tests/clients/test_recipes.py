"""The recipes of docs/guides/tracker.md, as the page shows them, in Chromium: the log has their events, each once."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.chromium import MISSING, WHOLE
from tests.clients.installed import MODULES
from tests.clients.shop import RECIPES, bundle, run_on_a_server, shop_collector, shop_page, tags
from tests.running import Collector, eventually

_GRANT = "<script>tracklog('consent', 'granted')</script>"
_NOTED = "<script>window.noted = []; window.tracklog = (...call) => noted.push(call); {cmp}</script>"
_GROUPS = "window.OneTrust = {{IsAlertBoxClosed: () => {closed}}}; window.OnetrustActiveGroups = ',C0001,{groups}'"
_DATA = "{{eventStatus: '{status}', purpose: {{consents: {consents}}}}}"
_TCF = "window.__tcfapi = (name, version, call) => call(" + _DATA + ", true)"

pytestmark = pytest.mark.skipif(WHOLE is None, reason=MISSING)
needs_modules = (
    pytest.mark.clients,
    pytest.mark.skipif(not MODULES.exists(), reason="node_modules is not there; run make test-clients"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with shop_collector(tmp_path_factory.mktemp("shop")) as collector:
        yield collector


def _recipe(name: str) -> str:
    return (RECIPES / name).read_text()


def _new(shop: Collector, before: int, page: Page, least: int) -> list[dict[str, Any]]:
    """The records since `before`, once there are as many as `least` and the page says that nothing waits."""
    # each call lets the browser's requests reach the collector
    eventually(lambda: page.title() == "Shop" and len(shop.stored()) >= before + least, "the events are stored")
    return shop.stored()[before:]


def _names(records: list[dict[str, Any]]) -> list[str]:
    return sorted(f"{record['event']['ea']} {record['event']['ec']}" for record in records)


def test_a_plain_page_tells_its_view_a_product_and_a_marked_click(shop: Collector, browser: Browser) -> None:
    before = len(shop.stored())
    head = tags(shop).replace('"pages":true', '"pages":true,"clicks":true') + _GRANT
    with shop_page(browser, shop, _recipe("plain.html"), head) as (page, errors):
        page.click("text=Sizes")
        records = _new(shop, before, page, 3)
    assert errors == []
    assert _names(records) == ["open size_chart", "view page", "view product"]
    (click,) = (record["event"] for record in records if record["event"]["ea"] == "open")
    assert click["extra"]["product"] == "864115"
    assert (click["context"]["utm_source"], click["context"]["gclid"]) == ("mail", "g-1")
    assert len({record["event"]["aid"] for record in records}) == 1


def test_an_order_counts_once_however_often_its_page_is_loaded(shop: Collector, browser: Browser) -> None:
    before = len(shop.stored())
    with shop_page(browser, shop, _recipe("thanks.html"), tags(shop) + _GRANT) as (page, errors):
        _new(shop, before, page, 2)
        page.reload()
        records = _new(shop, before, page, 3)
    assert errors == []
    assert _names(records).count("purchase order") == 1
    assert "order-4711" in [record["event_id"] for record in records]


def test_two_properties_on_one_page_get_each_event_both(shop: Collector, browser: Browser) -> None:
    before = len(shop.stored())
    head = re.sub(r"tracklog\('init',\{.*\}\)", "", tags(shop))
    with shop_page(browser, shop, _recipe("two.html"), head) as (page, errors):
        records = _new(shop, before, page, 4)
    assert errors == []
    for prop_id in (1, 2):
        assert _names([each for each in records if each["prop_id"] == prop_id]) == ["view page", "view product"]


def test_a_tag_of_a_tag_manager_starts_the_tracker(shop: Collector, browser: Browser) -> None:
    before = len(shop.stored())
    with shop_page(browser, shop, _recipe("tag_manager.html")) as (page, errors):
        assert _names(_new(shop, before, page, 1)) == ["view page"]
    assert errors == []


@pytest.mark.parametrize(
    ("cmp", "calls"),
    [
        (_GROUPS.format(closed="false", groups="C0002,"), []),
        (_GROUPS.format(closed="true", groups="C0002,"), [["consent", "granted"]]),
        (_GROUPS.format(closed="true", groups="C0003,"), [["consent", "denied"]]),
    ],
    ids=["none yet", "allowed", "refused"],
)
def test_a_banner_with_groups_tells_the_choice(shop: Collector, browser: Browser, cmp: str, calls: list[Any]) -> None:
    _compare_calls(shop, browser, "consent_groups.js", cmp, calls)


@pytest.mark.parametrize(
    ("status", "consents", "calls"),
    [
        ("cmpuishown", "{1: true, 8: true}", []),
        ("tcloaded", "{1: true, 8: true}", [["consent", "granted"]]),
        ("useractioncomplete", "{8: true}", [["consent", "anonymous"]]),
        ("useractioncomplete", "{1: true}", [["consent", "denied"]]),
    ],
    ids=["none yet", "allowed", "without storage", "refused"],
)
def test_a_banner_with_the_interface_of_the_iab_tells_the_choice(
    shop: Collector, browser: Browser, status: str, consents: str, calls: list[Any]
) -> None:
    _compare_calls(shop, browser, "consent_tcf.js", _TCF.format(status=status, consents=consents), calls)


def _compare_calls(shop: Collector, browser: Browser, recipe: str, cmp: str, calls: list[Any]) -> None:
    body = f"{_NOTED.format(cmp=cmp)}<script>{_recipe(recipe)}</script>"
    with shop_page(browser, shop, body) as (page, errors):
        assert page.evaluate("noted") == calls
    assert errors == []


@pytest.mark.parametrize("name", [pytest.param(each, marks=needs_modules) for each in ("react.jsx", "vue.js")])
def test_a_component_tells_each_product_once(shop: Collector, browser: Browser, name: str) -> None:
    before = len(shop.stored())
    with shop_page(browser, shop, "<div id=shop></div>") as (page, errors):
        page.add_script_tag(content=bundle(RECIPES / name))
        page.click("text=Next")
        records = _new(shop, before, page, 4)
    assert errors == []
    assert _names(records) == ["view page", "view page", "view product", "view product"]
    shown = [record["event"]["items"][0]["id"] for record in records if record["event"]["ec"] == "product"]
    assert sorted(shown) == ["864115", "864116"]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed; on Debian: apt-get install nodejs")
def test_on_a_server_no_call_throws_and_none_has_an_effect(tmp_path: Path) -> None:
    assert run_on_a_server(RECIPES / "server.mjs", tmp_path) == {
        "results": [False] * 4,
        "stored": True,
        "stats": {"queued": 0, "flying": 0, "lost": 0},
    }
