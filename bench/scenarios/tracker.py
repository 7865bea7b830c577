"""What the tracker for pages costs the main thread of a page, in CPU time by Chromium's own trace.

Nothing leaves the browser: its requests are answered here, and those with events never are, so that the queue stays
long. To slow the CPU down, as for a phone, the browser keeps the thread busy for milliseconds, which its trace counts.
"""

import json
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import BenchError
from bench.measure import Options, Row, progress

_SCRIPT: Final = Path(__file__).parents[2] / "collector/web/dist/t.js"
_ORIGIN: Final = "https://shop.example.com"
_BARE_PAGE: Final = """<!doctype html><title>shop</title><link rel="icon" href="data:,">
<script src="/t.js" data-url="https://shop.example.com/event" data-portal="33167" data-prop="1" data-consent="granted">
</script>"""
_OTHERS: Final = """<script>
    document.currentScript.dataset.is = 'other'
    addEventListener('load', () => new URLSearchParams(location.search).get('q'))
    if (navigator.onLine && localStorage.length) history.replaceState({}, '')
</script>"""
"""What other scripts of a page have used by then: the first call of each of these is dear, whoever makes it."""
_PAGE: Final = _BARE_PAGE.replace("<script src", f"{_OTHERS}<script src", 1)
_FILL: Final = "count => { for (let n = 0; n < count; n++) tracklog('track', 'view', 'product', {items: [{id: n}]}) }"
_MEASURED: Final = """count => new Promise(done => {
    const measured = () => {
        if (!tracklog('track', 'view', 'product', {items: [{id: count}]})) throw new Error('an event was refused')
        if (--count) setTimeout(measured, 4)
        else done()
    }
    setTimeout(measured)
})"""
"""Calls in tasks of their own, as pages make them: in a loop they would cost a fifth."""
_TRACED: Final = ["devtools.timeline"]
_STORED: Final = 350
"""Events in the queue when the measured calls begin; they end before it is full, which is at 400."""
_CALLS: Final = 45
_MOST_START_MS: Final = 1.0
_MOST_CALL_MS: Final = 0.2


def why_not() -> str:
    """The reason why it can't run here; empty if it can."""
    return "" if shutil.which("chromium") else "chromium is not installed; on Debian: apt-get install chromium"


def of_tracker(options: Options) -> Iterator[Row]:
    """What the tracker costs a page: the main thread at its start, and in a call with a long queue"""
    pages = options.size(40, 2)
    with _chromium() as browser:
        for name, html in (("start as the only script", _BARE_PAGE), ("start after another script", _PAGE)):
            progress(f"tracker: {pages} starts, {name}")
            starts = [_start(browser, html) for _ in range(pages)]
            yield Row(
                f"{name}, median",
                statistics.median(starts),
                "ms",
                most=_MOST_START_MS,
                beside=f"longest of {pages} pages {max(starts):.2f} ms",
                details={"ms": starts},
            )
        progress(f"tracker: calls in {pages} pages")
        calls = sorted(each for _ in range(pages) for each in _calls(browser))
        yield Row(
            f"track() with {_STORED} events stored, mean",
            statistics.mean(calls),
            "ms",
            most=_MOST_CALL_MS,
            beside=f"median {statistics.median(calls):.3f} ms, p99 {calls[int(len(calls) * 0.99)]:.2f} ms",
        )


@contextmanager
def _chromium() -> Iterator[Any]:
    """A browser of Playwright, whose import takes a while."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - it takes longer than `python -m bench --help`

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def _start(browser: Any, html: str) -> float:
    """Milliseconds of CPU that the script and its start take in a new page."""
    with _page(browser, html) as page:
        browser.start_tracing(page=page, categories=_TRACED)
        page.goto(f"{_ORIGIN}/")
        (start,) = _traced(browser, "EvaluateScript", "url", f"{_ORIGIN}/t.js", 1)
    return start


def _calls(browser: Any) -> list[float]:
    """Milliseconds of CPU of calls in a page with a long queue, the timer for the next one included."""
    with _page(browser, _PAGE) as page:
        page.goto(f"{_ORIGIN}/")
        page.evaluate(_FILL, _STORED)
        browser.start_tracing(page=page, categories=_TRACED)
        page.evaluate(_MEASURED, _CALLS)
        return _traced(browser, "FunctionCall", "functionName", "measured", _CALLS)


def _traced(browser: Any, name: str, member: str, value: str, count: int) -> list[float]:
    """Milliseconds of the thread's CPU for each of `count` events of the browser's trace, which ends here."""
    events = json.loads(browser.stop_tracing())["traceEvents"]
    found = [
        each["tdur"] / 1000 for each in events if each["name"] == name and each["args"]["data"].get(member) == value
    ]
    if len(found) != count:
        raise BenchError(f"the browser's trace has {len(found)} {name} of {value}; expected {count}")
    return found


@contextmanager
def _page(browser: Any, html: str) -> Iterator[Any]:
    """An empty tab of a visitor without storage of before."""
    waiting: list[Any] = []
    with browser.new_context() as context:
        context.route("**/*", partial(_answer, html, waiting))
        yield context.new_page()
        for route in waiting:  # Playwright complains of those that are left
            route.abort()


def _answer(html: str, waiting: list[Any], route: Any) -> None:
    if route.request.url == f"{_ORIGIN}/":
        route.fulfill(body=html, content_type="text/html")
    elif route.request.url.endswith("/t.js"):
        route.fulfill(body=_SCRIPT.read_text(), content_type="text/javascript")
    else:
        waiting.append(route)
