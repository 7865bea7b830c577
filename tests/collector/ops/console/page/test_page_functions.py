"""The pure functions of the console's page, in the browser that they are for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chromium import NEEDS_CHROMIUM, chromium
from tests.collector.ops.console.page.page_in_browser import ORIGIN, Console

pytestmark = NEEDS_CHROMIUM
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call() -> Iterator[Call]:
    """`call("text.js", "curl", …)` calls a function of a module."""
    with chromium() as browser:
        console = Console(browser)
        console.page.goto(f"{ORIGIN}/assets/icon.svg")

        def of_module(module: str, name: str, *arguments: object) -> Any:
            script = "async ([module, name, given]) => (await import(`/assets/${module}`))[name](...given)"
            return console.page.evaluate(script, [module, name, arguments])

        yield of_module
        assert console.trouble == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ✓ Ŵ 漢字", "plain ✓ Ŵ 漢字"),
        ("a\u202eb", "a\\u202eb"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\nbreak\ttab\0", "line\\nbreak\\ttab\\0"),
        ("\x1b[31m", "\\u001b[31m"),
        ("tag\U000e0041", "tag\\u{e0041}"),
        ("fill\u3164er", "fill\\u3164er"),
    ],
)
def test_characters_that_nobody_sees_are_shown(call: Call, text: str, shown: str) -> None:
    assert call("text.js", "visible", text) == shown
    pieces = call("text.js", "pieces", text)
    assert "".join(each.get("text", "") + each.get("chip", "") for each in pieces) == shown


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (999, "999 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (54_525_952, "52 MiB")]
)
def test_bytes_have_a_fitting_unit(call: Call, value: int, text: str) -> None:
    assert call("text.js", "bytes", value) == text


@pytest.mark.parametrize(("seconds", "text"), [(14, "14 s"), (720, "12 min"), (7200, "2 h"), (777_700, "9 d")])
def test_durations_have_a_fitting_unit(call: Call, seconds: int, text: str) -> None:
    assert call("text.js", "duration", seconds) == text


def test_times_are_in_utc_with_milliseconds(call: Call) -> None:
    assert call("text.js", "stamp", 1_764_338_531_204) == "2025-11-28 14:02:11.204 UTC"
    assert call("text.js", "clock", 1_764_338_531_204) == "14:02:11.204"


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((1, 100, 100, 40, 40), "40/s match, all shown"),
        (
            (1, 20143, 20143, 20143, 100),
            "20,143/s match · 100/s shown (1 in 201), rare kinds first · narrow the filters to see all",
        ),
        ((2, 1000, 610, 20, 20), "10/s match, all shown · 61 % of all read, the counts are of that part"),
    ],
)
def test_coverage_says_how_much_is_shown(call: Call, counts: tuple[int, ...], text: str) -> None:
    names = ("seconds", "seen", "scanned", "matched", "shown")
    assert call("text.js", "coverageText", dict(zip(names, counts, strict=True))) == text


def test_a_line_has_a_gap_where_a_value_is_unknown(call: Call) -> None:
    assert call("chart.js", "line", [0, 10, None, 5], 10, 30, 100) == "M0 100L10 0M30 50"


def test_buckets_hold_the_mean_of_what_is_known(call: Call) -> None:
    assert call("chart.js", "buckets", [1, None, 4, 2], 2) == [1, 3]
    assert call("chart.js", "buckets", [5, None, None], 2) == [5, None]


def test_a_sample_goes_to_the_mean_of_its_step_or_begins_one(call: Call) -> None:
    series = {"step_s": 10, "first_ms": 0, "values": {"a": [1, 2]}, "samples": 1}
    same = call("api.js", "extended", series, 19_000, {"a": 4})
    assert same["values"] == {"a": [1, 3]}
    later = call("api.js", "extended", series, 45_000, {"a": 4})
    assert (later["first_ms"], later["values"]) == (30_000, {"a": [None, 4]})


@pytest.mark.parametrize(
    ("balance", "waiting", "said"),
    [
        ("settled", 0, ["ok", "✓", "balances"]),
        ("settled", 12, ["ok", "✓", "balances, 12 under way"]),
        ("under_way", 12, ["muted", "◌", "12 under way"]),
        ("differs", 12, ["bad", "▲", "12 without an outcome"]),
        ("differs", -1, ["bad", "▲", "counts differ"]),
        (None, 0, ["muted", "◌", "not checked"]),
    ],
)
def test_an_account_is_said_to_balance_only_if_the_counts_say_so(
    call: Call, balance: str | None, waiting: int, said: list[str]
) -> None:
    assert call("accounts.js", "verdict", {"balance": balance, "waiting": waiting}) == said


def test_a_node_that_is_well_says_so_and_one_that_is_not_says_why(call: Call) -> None:
    worker, sink = {"ready": True, "age_ms": 0}, {"name": "file", "state": "up", "age_ms": 0}
    well = {"ready": True, "reason": None, "workers": [worker], "sinks": [sink]}
    assert call("now.js", "verdict", well) == ["ok", "Ready: all workers acknowledge, all sinks are up."]
    down = well | {"sinks": [sink | {"state": "down"}]}
    assert call("now.js", "verdict", down) == ["warn", "Ready: all workers acknowledge. 1 sink is not up."]
    shipped = well | {"sinks": [sink | {"shard": "redrive", "state": "not running", "lag_events": 0}]}
    assert call("now.js", "verdict", shipped)[0] == "ok"
    unshipped = well | {"sinks": [sink | {"shard": "redrive", "state": "not running", "lag_events": 2}]}
    assert call("now.js", "verdict", unshipped)[0] == "warn"
    silent = well | {"workers": [worker | {"age_ms": 14_000}]}
    assert call("now.js", "verdict", silent)[0] == "warn"


@pytest.mark.parametrize(
    ("path", "search", "found"),
    [
        ("/", "", ("live", [], {})),
        ("/live", "?kind=dead", ("live", [], {"kind": "dead"})),
        ("/log/00/42", "", ("log", ["00", "42"], {})),
        ("/event/%E0%A4%A", "", ("event", ["%E0%A4%A"], {})),
    ],
)
def test_an_address_names_view_and_state(call: Call, path: str, search: str, found: tuple[Any, ...]) -> None:
    view, parts, query = found
    assert call("router.js", "parse", path, search) == {"view": view, "parts": parts, "query": query}


@pytest.mark.parametrize("path", ["/metrics", "/api/node", "/constructor"])
def test_other_addresses_are_not_the_pages(call: Call, path: str) -> None:
    assert call("router.js", "parse", path, "") is None


@pytest.mark.parametrize("ms", [0, 1_795_891_534_346, 1_795_891_534_000])
def test_a_time_goes_through_a_control_unchanged(call: Call, ms: int) -> None:
    assert call("again.js", "fromControl", call("again.js", "toControl", ms)) == ms
