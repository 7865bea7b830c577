"""Live: the list, its filters and its addresses, with rows that a test sends."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.chromium import NEEDS_CHROMIUM
from tests.collector.ops.console.page.page_answers import EVENT, NOW_MS, answers
from tests.collector.ops.console.page.page_in_browser import ORIGIN, Console

pytestmark = NEEDS_CHROMIUM
_BAR_MS = NOW_MS // 5000 * 5000
_COVERAGE = {"seconds": 1, "seen": 3, "scanned": 3, "matched": 3, "shown": 3}


def _row(number: int, ea: str, ms: int = NOW_MS) -> list[object]:
    return [number, f"0123456789abcdef-{number}", ms, "stored", "1/2", "web", None, ea, "c", "u", 99, 0, None]


def _open(console: Console, path: str, *rows: list[object]) -> Page:
    console.answers |= answers("x")
    console.open(path)
    _arrive(console, *rows)
    return console.page


def _arrive(console: Console, *rows: list[object]) -> None:
    console.say("rows", rows, f"b.{len(rows)}")
    console.say("coverage", _COVERAGE)


def _shows(page: Page, *texts: str) -> None:
    """Wait until the list shows rows with these texts and no others, newest first."""
    expect(page.locator(".sizer [role=row]:visible")).to_have_count(len(texts))
    for text in texts:
        expect(page.locator(".sizer [role=row]:visible", has_text=text)).to_have_count(1)


def test_after_a_restart_rows_are_repeated_for_another_filter(console: Console) -> None:
    page = _open(console, "/live", _row(1, "one"), _row(2, "two"))
    console.say("gap", {"missed": None, "reason": "restart"})
    _arrive(console, _row(1, "one"), _row(2, "two"), _row(3, "three"))
    _shows(page, "one", "two", "three")
    page.get_by_label("kind").select_option("stored")
    console.queries(2)
    console.greet()
    _arrive(console, _row(1, "one"), _row(2, "two"), _row(3, "three"))
    _shows(page, "one", "two", "three")


def test_filters_that_are_set_at_once_are_all_in_the_address(console: Console) -> None:
    page = _open(console, "/live", _row(1, "one"))
    page.locator("[name=ea]").fill("view")
    page.locator("[name=ec]").fill("page")
    page.get_by_label("kind").select_option("stored")
    for name in ("ea=view", "ec=page", "kind=stored"):
        expect(page).to_have_url(re.compile(rf"[?&]{name}\b"))


def test_a_row_that_is_opened_while_a_filter_is_typed_stays_open(console: Console) -> None:
    page = _open(console, "/live", _row(7, "one"))
    page.locator("[name=ea]").fill("o")
    page.locator(".sizer [role=row]:visible").click()
    expect(page).to_have_url(re.compile(r"ea=o\b"))
    assert f"event={EVENT}" in page.url


def test_back_from_an_open_row_closes_it(console: Console) -> None:
    page = _open(console, "/live", _row(6, "one"), _row(7, "two"))
    page.locator(".sizer [role=row]:visible", has_text="two").click()
    panel = page.get_by_role("complementary", name="Event")
    expect(panel).to_contain_text(EVENT)
    page.go_back()
    expect(panel).to_have_count(0)
    expect(page.locator(".sizer .chosen")).to_have_count(0)
    page.keyboard.press("j")
    expect(page.locator(".sizer .chosen")).to_have_count(1)
    expect(panel).to_have_count(0)


def test_a_row_without_an_id_opens_beside_the_list(console: Console) -> None:
    row = _row(1, "one")
    row[1], row[3], row[12] = None, "rejected", "not_found"
    page = _open(console, "/live", row)
    page.locator(".sizer [role=row]:visible").click()
    expect(page.get_by_role("complementary", name="Event")).to_contain_text("Its content is not kept.")


def _open_bar(console: Console, path: str) -> Page:
    return _open(console, path, _row(1, "before", _BAR_MS - 9000), _row(2, "inside", _BAR_MS + 1))


def test_a_bar_in_the_address_shows_its_rows_after_the_page_was_loaded(console: Console) -> None:
    page = _open_bar(console, f"/live?at={_BAR_MS}")
    _shows(page, "inside")
    expect(page.locator("button.pause")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("button.waiting")).to_have_count(0)
    _arrive(console, _row(3, "late", NOW_MS))
    expect(page.get_by_role("button", name="1 new while paused")).to_be_visible()


def test_a_bar_stays_chosen_when_a_filter_changes(console: Console) -> None:
    page = _open_bar(console, f"/live?at={_BAR_MS}")
    page.get_by_label("kind").select_option("stored")
    expect(page).to_have_url(re.compile(r"at=\d+.*kind=stored"))
    console.queries(2)
    console.greet()
    _arrive(console, _row(1, "before", _BAR_MS - 9000), _row(2, "inside", _BAR_MS + 1))
    _shows(page, "inside")
    expect(page.get_by_role("button", name="show all times again")).to_be_visible()


@pytest.mark.parametrize("at", ["9e99", "-9e99", "x", "8640000000000001"])
def test_a_time_that_is_none_is_no_bar(console: Console, at: str) -> None:
    page = _open(console, f"/live?at={at}", _row(1, "one"))
    _shows(page, "one")
    expect(page.locator(".chips")).to_have_count(0)
    assert page.url.startswith(ORIGIN)


def test_a_search_ends_where_the_list_is_full(console: Console) -> None:
    found = [_row(number, f"row-{number}") for number in range(100)]
    progress = {"scanned_bytes": 10, "left_bytes": 90, "back_to_ms": NOW_MS, "next": "more"}
    damaged = [{"shard": "00", "log": "0", "first_sequence": 1, "last_sequence": 5, "lost": 5}]
    console.answers["/api/search"] = progress | {"rows": found, "damaged": damaged}
    console.answers |= answers("x")
    console.page.goto(f"{ORIGIN}/live?search=1")
    line = console.page.locator(".coverage")
    for pages in range(1, 20):
        expect(line).to_contain_text(f"{100 * pages:,} found")
        expect(line).to_contain_text(f"{5 * pages} events can't be read any more")
        console.page.get_by_role("button", name="Search on").click()
    expect(line).to_contain_text("2,000 found")
    expect(line).to_contain_text("the list is full: narrow the filters")
    expect(console.page.get_by_role("button", name="Search on")).to_have_count(0)


def test_a_text_that_is_not_searched_everywhere_is_not_called_missing(console: Console) -> None:
    page = _open(console, "/live?q=rare")
    backlog = {"rows": 20_000, "searched": 3100, "matched": 0, "shown": 0, "is_done": False}
    console.say("backlog", backlog)
    expect(page.get_by_text("None matches so far: 3,100 of the last 20,000 were searched.")).to_be_visible()
    console.say("backlog", backlog | {"searched": 20_000, "is_done": True})
    expect(page.get_by_text("None of the last 0 match.")).to_be_visible()


def test_a_list_that_begins_with_a_part_of_what_matches_says_so(console: Console) -> None:
    page = _open(console, "/live", _row(1, "one"))
    console.say("backlog", {"rows": 20_000, "searched": 20_000, "matched": 15_000, "shown": 2000, "is_done": True})
    expect(page.locator(".coverage")).to_contain_text("began with the newest 2,000 of 15,000")
