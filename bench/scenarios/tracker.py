"""What the tracker for pages costs the main thread of a page, by Chromium's own trace and clock.

The page is isolated, which gives its clock a resolution of 5 µs. Nothing leaves the browser: its requests are answered
here, and those with events never are, so that the queue stays long.
"""

import json
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench import BenchError
from bench.measure import Options, Row, progress

_SCRIPT: Final = Path(__file__).parents[2] / "collector/web/dist/t.js"
_ORIGIN: Final = "https://shop.example.com"
_ISOLATED: Final = {
    "content-type": "text/html",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
}
_PAGE: Final = """<!doctype html><title>shop</title><link rel="icon" href="data:,">
<script src="/t.js" data-url="https://shop.example.com/event" data-portal="33167" data-prop="1" data-consent="granted">
</script>"""
_FILL: Final = "count => { for (let n = 0; n < count; n++) tracklog('track', 'view', 'product', {items: [{id: n}]}) }"
_TIMED: Final = """count => Array.from({length: count}, (_, n) => {
    const began = performance.now()
    const id = tracklog('track', 'view', 'product', {items: [{id: n}]})
    return id && performance.now() - began
})"""
_STORED: Final = 350
"""Events in the queue when the measured calls begin; they end before it is full, which is at 400."""
_CALLS: Final = 45
_SLOW: Final = 4
"""Times that a phone is slower."""
_MOST_START_MS: Final = 1.0
_MOST_CALL_MS: Final = 0.2


def why_not() -> str:
    """The reason why it can't run here; empty if it can."""
    return "" if shutil.which("chromium") else "chromium is not installed; on Debian: apt-get install chromium"


def of_tracker(options: Options) -> Iterator[Row]:
    """What the tracker costs a page: the main thread at its start, and in a call with a long queue"""
    pages = options.size(40, 2)
    with _chromium() as browser:
        progress(f"tracker: {pages} starts")
        starts = [_start(browser) for _ in range(pages)]
        yield Row(
            "start of the tracker, median",
            statistics.median(starts),
            "ms",
            most=_MOST_START_MS,
            beside=f"longest of {pages} pages {max(starts):.2f} ms",
            details={"ms": starts},
        )
        progress(f"tracker: calls in {pages} pages")
        calls = sorted(each for _ in range(pages) for each in _calls(browser, 1))
        yield Row(
            f"track() with {_STORED} events stored, p99",
            calls[int(len(calls) * 0.99)],
            "ms",
            most=_MOST_CALL_MS,
            beside=f"median {statistics.median(calls):.3f} ms, longest {calls[-1]:.2f} ms of {len(calls)} calls",
        )
        progress(f"tracker: calls in {pages} pages, CPU / {_SLOW}")
        calls = [each for _ in range(pages) for each in _calls(browser, _SLOW)]
        yield Row(
            f"track() with {_STORED} events stored, CPU / {_SLOW}, mean",
            statistics.mean(calls),
            "ms",
            most=_MOST_CALL_MS,
            beside=f"median {statistics.median(calls):.3f} ms; the browser stops the page now and then",
        )


@contextmanager
def _chromium() -> Iterator[Any]:
    """A browser of Playwright, whose import takes a while."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - it takes longer than `python -m bench --help`

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def _start(browser: Any) -> float:
    """Milliseconds that the script and its start take in a new page, as the browser's trace has them."""
    with _page(browser) as page:
        browser.start_tracing(page=page, categories=["devtools.timeline"])
        page.goto(f"{_ORIGIN}/")
        trace = json.loads(browser.stop_tracing())
    found = [each["tdur"] for each in trace["traceEvents"] if _is_start(each)]
    if len(found) != 1:
        raise BenchError(f"the browser's trace has {len(found)} starts of the script; expected one")
    return float(found[0]) / 1000


def _is_start(event: Any) -> bool:
    """Whether an event of a trace is the compilation and first run of the tracker."""
    return bool(event["name"] == "EvaluateScript" and event["args"]["data"].get("url") == f"{_ORIGIN}/t.js")


def _calls(browser: Any, rate: int) -> list[float]:
    """Milliseconds of calls in a page with a long queue, on a CPU that is so many times slower."""
    with _page(browser) as page:
        page.goto(f"{_ORIGIN}/")
        page.evaluate(_FILL, _STORED)
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": rate})
        taken: list[float | None] = page.evaluate(_TIMED, _CALLS)
    kept = [each for each in taken if each is not None]
    if len(kept) < _CALLS:
        raise BenchError(f"the tracker refused {_CALLS - len(kept)} of {_CALLS} events; expected room for all")
    return kept


@contextmanager
def _page(browser: Any) -> Iterator[Any]:
    """An empty tab of a visitor without storage of before."""
    with browser.new_context() as context:
        context.route("**/*", _answer)
        yield context.new_page()
        context.unroute_all(behavior="ignoreErrors")


def _answer(route: Any) -> None:
    if route.request.url == f"{_ORIGIN}/":
        route.fulfill(body=_PAGE, headers=_ISOLATED)
    elif route.request.url.endswith("/t.js"):
        route.fulfill(body=_SCRIPT.read_text(), content_type="text/javascript")
