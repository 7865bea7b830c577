"""Every view of the console's page, whose answers are as hostile as senders can make them, and its states."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import axe_source, violations
from tests.chromium import NEEDS_CHROMIUM
from tests.collector.ops.console.page.page_answers import EVENT, LETTER, answers, rows, sample
from tests.collector.ops.console.page.page_in_browser import NODE, ORIGIN, SESSION, Console

pytestmark = NEEDS_CHROMIUM
HOSTILE = "<img src=x onerror=alert(1)>'\"`</script><script>alert(2)</script>${7*7}\u202e\u200b\ud800//evil.example/x"
SHOWN = "<img src=x onerror=alert(1)>'\"`</script><script>alert(2)</script>${7*7}\\u202e\\u200b\\ud800//evil.example/x"
VIEWS = {
    "live": "/",
    "live with an event": f"/live?event={EVENT}",
    "live with a dead letter": f"/live?event=dead%3A{LETTER}",
    "event": f"/event/{EVENT}",
    "now": "/now",
    "accounts": "/accounts",
    "log": "/log",
    "segment": "/log/00/42",
    "dead": "/dead",
    "reason": "/dead?reason=x",
    "letter": f"/dead/{LETTER}",
    "replay": "/replay",
    "try": "/try",
}
WIDE = {"viewport": {"width": 1920, "height": 1080}, "color_scheme": "light"}
NARROW = {"viewport": {"width": 360, "height": 780}, "color_scheme": "dark", "has_touch": True}


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_source()


@pytest.fixture(scope="module", params=[WIDE, NARROW], ids=["1920", "360"])
def hostile(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Console]:
    """A tab whose every answer is hostile."""
    console = Console(browser, **request.param)
    console.answers = answers(HOSTILE)
    yield console
    console.page.close()


def _open(console: Console, path: str) -> Page:
    console.open(path)
    console.say("now", sample(HOSTILE))
    console.say("rows", rows(HOSTILE), "b.5")
    expect(console.page.locator(".skeleton")).to_have_count(0)
    return console.page


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_renders_hostile_text_as_text_and_is_accessible(hostile: Console, axe: str, view: str) -> None:
    page = _open(hostile, VIEWS[view])
    expect(page.get_by_text(SHOWN).first).to_be_attached()
    expect(page.locator("h1")).to_have_count(1)
    assert page.title().endswith("· Tracklog n1")
    expect(page.locator("img, script:not([src]), iframe, [onerror]")).to_have_count(0)
    assert hostile.trouble == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    found = violations(page, axe)
    assert found == []


def test_a_row_opens_beside_the_list_and_pauses_it(console: Console) -> None:
    console.answers = answers("x")
    page = _open(console, "/")
    page.locator("[role=row]:visible", has_text="stored").click()
    expect(page.get_by_role("complementary", name="Event")).to_contain_text(EVENT)
    assert page.url.endswith(f"/live?event={EVENT}")
    console.say("rows", [[9, *rows("x")[0][1:]]], "b.9")
    expect(page.get_by_role("button", name="1 new while paused")).to_be_visible()


def test_pause_by_key_counts_what_comes_and_going_on_shows_it(console: Console) -> None:
    page = _open(console, "/")
    expect(page.locator("[role=row]:visible")).to_have_count(6)
    page.keyboard.press("p")
    console.say("rows", [[number, *rows("x")[0][1:]] for number in (6, 7)], "b.7")
    expect(page.get_by_role("button", name="2 new while paused")).to_be_visible()
    expect(page.locator("[role=row]:visible")).to_have_count(6)
    page.keyboard.press(" ")
    expect(page.locator("[role=row]:visible")).to_have_count(8)


def test_a_still_list_stands_in_the_order_in_which_it_is_seen(console: Console) -> None:
    page = _open(console, "/")
    for number in range(6, 30):
        console.say("rows", [[number, *rows("x")[0][1:]]], f"b.{number}")
    page.keyboard.press("p")
    page.keyboard.press("j")
    places = "[...document.querySelectorAll('.sizer [role=row]:not([hidden])')].map(row => +row.ariaRowIndex)"
    expect(page.locator(".sizer .chosen")).to_have_count(1)
    found = page.evaluate(places)
    assert found == sorted(found)


def test_a_changed_filter_opens_another_stream_and_stands_in_the_address(console: Console) -> None:
    page = _open(console, "/")
    page.get_by_label("kind").select_option("dead")
    expect(page).to_have_url(f"{ORIGIN}/live?kind=dead")
    assert console.queries(2) == ["?topics=live%2Cnow", "?topics=live%2Cnow&kind=dead"]
    page.go_back()
    expect(page.get_by_label("kind")).to_have_value("")


def test_a_stream_that_ends_is_opened_again_after_the_last_row(console: Console) -> None:
    _open(console, "/")
    console.say("bye", {"reason": "stop", "retry_ms": 10})
    assert console.queries(2)[-1] == "?topics=live%2Cnow&after=b.5"


def test_a_refused_stream_says_why(console: Console) -> None:
    console.answers["/api/stream"] = (503, {"code": "too_many", "message": "20 viewers already, close one"})
    page = _open(console, "/")
    page.evaluate("streams.at(-1).onerror(new Event('error'))")
    expect(page.get_by_role("alert")).to_contain_text("20 viewers already, close one")


def test_a_redacted_field_can_not_be_a_filter(console: Console) -> None:
    console.answers["/api/session"] = SESSION | {"redacted": ["event.uid"]}
    console.page.goto(ORIGIN)
    box = console.page.locator("[name=uid]")
    expect(box).to_be_disabled()
    expect(box).to_have_attribute("placeholder", "hidden by admin.redact")


def test_without_actions_the_button_is_there_and_says_what_to_set(console: Console) -> None:
    console.answers |= answers("x") | {"/api/session": SESSION | {"actions": False}}
    console.page.goto(f"{ORIGIN}/try")
    expect(console.page.get_by_role("button", name="Send a real event")).to_be_disabled()
    expect(console.page.get_by_text("set admin.allow_actions = true").first).to_be_visible()


def test_a_redrive_names_the_number_of_its_preview_and_is_never_the_focused_button(console: Console) -> None:
    console.answers |= answers("x")
    page = _open(console, "/dead")
    page.get_by_role("button", name="Preview redrive of 2").press("Enter")
    expect(page.get_by_role("button", name="Redrive 2")).to_be_enabled()
    expect(page.get_by_role("button", name="Redrive 2")).not_to_be_focused()


def test_who_must_log_in_sees_nothing_but_the_form(console: Console, axe: str) -> None:
    console.answers["/api/session"] = SESSION | {"needs_token": True, "node": ""}
    page = console.page
    page.goto(f"{ORIGIN}/now")
    expect(page.get_by_label("token")).to_be_visible()
    assert page.evaluate("streams.length") == 0
    assert violations(page, axe) == []


@pytest.mark.parametrize(
    ("path", "answer", "text"),
    [
        ("/", {}, "No event yet. Send one"),
        ("/accounts", {"rows": [], "warnings": [], "unknown": [], "next": None}, "No event on this day."),
        ("/log", {"shards": []}, "There is no log yet"),
        ("/dead", {"reasons": [], "letters": 0}, "no dead letter in 24 hours"),
        ("/replay", {"jobs": []}, "No job yet."),
    ],
)
def test_an_empty_view_says_that_it_is_empty(console: Console, path: str, answer: dict[str, Any], text: str) -> None:
    api = {"/dead": "/api/dead/reasons", "/log": "/api/shards", "/replay": "/api/jobs"}.get(path, f"/api{path}")
    console.answers |= {"/api/node": NODE, api: answers("x").get(api, {}) | answer}
    console.open(path)
    expect(console.page.get_by_text(text)).to_be_visible()
