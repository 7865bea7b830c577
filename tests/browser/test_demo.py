"""The demo shop, from a real collector, in real Chromium: its events, its consent, its policy, and who can use it."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.demo import IN_CHROMIUM, SCHEMES, demo_shop, walk, window
from tests.running import Collector, eventually

_IDS = "[...document.querySelectorAll('#events code')].map(each => each.textContent)"
_IS_ALL_STORED = "[...document.querySelectorAll('#events li')].every(each => each.querySelector('.stored'))"
_KEYS = "Object.keys(localStorage).concat(document.cookie || [])"

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with demo_shop(tmp_path_factory.mktemp("shop")) as collector:
        yield collector


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a visitor who was never here."""
    with window(browser, 1280, "light") as context:
        yield context.new_page()


def _posts(page: Page) -> list[str]:
    """The addresses that the page posts to, from now on."""
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    return posts


def _faults(page: Page) -> list[str]:
    """What the page tells in the console of the browser from now on, which is where it says what the policy forbids."""
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    return faults


def _wait_until_stored(page: Page) -> None:
    # not by wait_for_function, whose eval() the policy forbids
    eventually(lambda: page.evaluate(_IS_ALL_STORED), "all tracked events are stored")


def _events(shop: Collector) -> dict[str, dict[str, Any]]:
    """The stored events by their ids. Raises AssertionError if an id is there twice."""
    events = [record["event"] for record in shop.stored()]
    by_id = {event["event_id"]: event for event in events}
    assert len(by_id) == len(events)
    return by_id


def test_a_visit_from_view_to_purchase_arrives_in_the_log_and_a_reload_counts_once(shop: Collector, page: Page) -> None:
    for _ in walk(page, shop, "granted"):
        pass
    tracked = page.evaluate(_IDS)
    _wait_until_stored(page)
    order = tracked[0]
    page.reload()
    page.wait_for_selector(f"#events li:has(.stored):has-text('{order}')")
    events = _events(shop)
    assert [[events[each]["ea"], events[each]["ec"]] for each in tracked if events[each]["ea"] != "impression"] == [
        ["purchase", "order"],
        ["view", "cart"],
        ["add", "cart"],
        ["view", "product"],
    ]
    assert order.startswith("order-")
    assert events[order]["extra"] == {"revenue": 39, "currency": "EUR"}
    assert len({events[each]["aid"] for each in tracked}) == 1


def test_page_views_of_the_routes_and_the_marked_link_are_counted_by_the_tracker(shop: Collector, page: Page) -> None:
    list(walk(page, shop, "granted"))
    page.click("nav >> text=Things")
    page.click("text=the fern")
    tracked = page.evaluate(_IDS)
    _wait_until_stored(page)
    events = _events(shop)
    (aid,) = {events[each]["aid"] for each in tracked}

    def of_visit(ea: str) -> list[str]:
        return [event["ec"] for event in _events(shop).values() if (event.get("aid"), event["ea"]) == (aid, ea)]

    eventually(lambda: of_visit("view").count("page") >= 6, "each route is a page view")
    eventually(lambda: of_visit("click") == ["tip"], "the marked link is counted")


def test_a_visitor_who_declines_sends_nothing_and_keeps_nothing(shop: Collector, page: Page) -> None:
    posts = _posts(page)
    for view in walk(page, shop, "denied"):
        assert page.evaluate(_KEYS) == [], view
    assert page.locator("#events .dropped").count() == 6, "those that were held until the choice"
    assert page.locator("#events :is(.held, .queued, .stored)").count() == 0
    page.reload()
    assert page.is_hidden("#banner")
    page.goto("about:blank")
    assert posts == []


def test_before_a_choice_nothing_is_sent_and_nothing_is_kept(shop: Collector, page: Page) -> None:
    posts = _posts(page)
    page.goto(f"http://127.0.0.1:{shop.port}/demo")
    page.wait_for_selector(".held")
    assert page.evaluate(_KEYS) == []
    page.goto("about:blank")
    assert posts == []


def test_anonymous_events_have_no_ids_of_a_visitor(shop: Collector, page: Page) -> None:
    for view in walk(page, shop, "anonymous"):
        assert page.evaluate(_KEYS) == [], view
    tracked = page.evaluate(_IDS)
    _wait_until_stored(page)
    events = _events(shop)
    assert len(tracked) > 4
    assert [events[each] for each in tracked if {"aid", "uid", "sid"} & events[each].keys()] == []


def test_who_signs_in_is_known_until_they_sign_out(shop: Collector, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{shop.port}/demo")
    page.click("[data-consent=granted]")
    page.click("text=Sign in as Ada")
    page.click("text=Sign out Ada")
    page.click("text=Add >> nth=0")
    tracked = page.evaluate(_IDS)
    _wait_until_stored(page)
    events = _events(shop)
    by_name = {events[each]["ea"]: events[each].get("uid") for each in tracked}
    assert (by_name["sign_in"], by_name["sign_out"], by_name["add"]) == ("u-8812", "u-8812", None)


def test_the_shop_works_where_the_script_of_the_tracker_is_blocked(shop: Collector, page: Page) -> None:
    page.route("**/t.*.js", lambda route: route.abort())
    assert list(walk(page, shop, "granted"))[-1] == "thanks"
    assert page.inner_text("#sum") == "The tracker did not load"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_view_is_accessible_fits_and_keeps_the_policy(
    shop: Collector, browser: Browser, width: int, scheme: str
) -> None:
    with window(browser, width, scheme) as context:
        page = context.new_page()
        faults = _faults(page)
        for view in walk(page, shop, "granted"):
            violations = Axe().run(page).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == [], view
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        _wait_until_stored(page)
    assert faults == []


def test_a_keyboard_alone_is_enough_to_choose_and_to_buy(shop: Collector, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{shop.port}/demo")
    _press_until(page, "Accept")
    _press_until(page, "Wall clock")
    assert page.evaluate("document.activeElement.textContent") == "Wall clock", "the heading of the new view"
    _press_until(page, "Add to cart")
    page.goto(f"http://127.0.0.1:{shop.port}/demo?cart")
    _press_until(page, "Check out")
    page.wait_for_selector("h1:has-text('Thank you')")


def _press_until(page: Page, name: str) -> None:
    """Go on by Tab until something of this name has the focus, and press Enter."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == name:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab never comes to {name}")
