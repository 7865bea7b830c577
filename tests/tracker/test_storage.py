"""Storage that is denied, full or cleared, clocks that jump, and browsers that lack things."""

import pytest

from tests.running import eventually
from tests.tracker import BOTH, faults
from tests.tracker.chromium import ChromiumTab
from tests.tracker.scene import ANYWHERE, Scene
from tests.tracker.scripts import CLOCK, DAY, FILL, NO_KEEPALIVE, NO_LOCKS, NO_STORAGE

pytestmark = pytest.mark.clients
_LARGE = "{extra: {text: '\U0001f600'.repeat(3500)}}"


@BOTH
@pytest.mark.parametrize("path", ["plain", "sandbox"])
def test_without_storage_events_are_sent_from_memory(scene: Scene, path: str) -> None:
    scene.proxy.faults.append(faults.refuse(503, 1))
    tab = scene.open(path, before="" if path == "sandbox" else NO_STORAGE, prop=ANYWHERE)
    scene.track(tab, 3)
    scene.drain(tab)
    assert scene.verdict().stored == 3
    scene.check()


def test_what_is_in_memory_is_sent_as_the_page_is_left_although_nobody_ever_answered(scene: Scene) -> None:
    tab = scene.open(before=NO_STORAGE)
    assert isinstance(tab, ChromiumTab)
    scene.proxy.down()
    scene.track(tab, 3)
    eventually(lambda: sum(url.startswith(scene.proxy.url) for url in tab.requested) == 3, "it is asked thrice")
    scene.proxy.up()
    tab.js("void setTimeout(() => location.href = '/bye')")
    eventually(lambda: scene.verdict().stored == 3, "the events are stored")
    assert scene.verdict().is_kept


@BOTH
def test_with_full_storage_events_are_sent_from_memory(scene: Scene) -> None:
    scene.proxy.faults.append(faults.refuse(503, 1))
    tab = scene.open()
    tab.js(FILL)
    assert len(scene.track(tab, 20, "{extra: {text: 'x'.repeat(100)}}")) == 20
    scene.drain(tab)
    assert scene.verdict().stored == 20
    scene.check()


@BOTH
def test_a_queue_that_is_full_refuses_and_the_next_event_tells_how_many(scene: Scene) -> None:
    scene.proxy.plan = lambda: faults.HANG
    tab = scene.open()
    kept = scene.track(tab, 405)
    assert len(kept) == 400
    scene.proxy.plan = lambda: faults.PASS
    tab.reload()
    scene.drain(tab)
    scene.track(tab)
    scene.drain(tab)
    verdict = scene.verdict()
    assert (verdict.stored, verdict.missing, verdict.lost) == (401, [], 5)


@BOTH
def test_storage_that_is_cleared_while_events_fly_stops_nothing(scene: Scene) -> None:
    scene.proxy.faults.append(faults.delay(1))
    tab = scene.open()
    flying = scene.track(tab)
    eventually(lambda: scene.proxy.flying == 1, "a request flies")
    tab.js("localStorage.clear()")
    later = scene.track(tab)
    scene.drain(tab)
    scene.arrive(flying + later)
    scene.check()


@BOTH
@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_jumps_stops_nothing(scene: Scene, jump: int) -> None:
    scene.proxy.faults.append(faults.refuse(503, 1))
    tab = scene.open(before=CLOCK)
    first = scene.track(tab)
    eventually(lambda: scene.proxy.received and scene.proxy.received[0].status, "the first request is answered")
    tab.js(f"window.shift = {jump}")
    second = scene.track(tab)
    tab.js("window.shift = 0")
    third = scene.track(tab)
    scene.drain(tab)
    # a page that looks at its queue during the jump finds the first a day old
    dropped = scene.dropped()
    assert (jump == DAY and dropped == {first[0]: "expired"}) or dropped == {}
    scene.arrive([each for each in first + second + third if each not in dropped])
    scene.check()


@BOTH
@pytest.mark.parametrize("lacking", [NO_LOCKS, NO_KEEPALIVE], ids=["locks", "keepalive"])
def test_a_browser_that_lacks_something_sends_all_the_same(scene: Scene, lacking: str) -> None:
    tab = scene.open(before=lacking)
    scene.track(tab, 2)
    scene.drain(tab)
    tab.js("void (sendAndSay(2), setTimeout(() => location.reload()))")
    tab.until("performance.getEntriesByType('navigation')[0].type === 'reload'")
    scene.drain(tab)
    assert scene.verdict().stored == 4
    scene.check()


@BOTH
def test_values_that_are_no_json_are_refused_and_others_arrive_as_they_are(scene: Scene) -> None:
    tab = scene.open()
    for value in ("1n", "(() => { const cycle = {}; return cycle.cycle = cycle })()"):
        assert scene.track(tab, 1, f"{{extra: {{value: {value}}}}}") == []
    assert scene.track(tab, 1, "{extra: {text: 'x'.repeat(20000)}}") == []
    assert scene.track(tab, 1, "{extra: {text: '\U0001f600'.repeat(5000)}}") == []
    scene.track(tab, 1, "{extra: {text: '\U0001f600\\u2028</script>'}}")
    scene.drain(tab)
    assert [each["event"]["extra"]["text"] for each in scene.stored()] == ["\U0001f600\u2028</script>"]
    scene.check()


def test_half_of_a_surrogate_pair_is_replaced(scene: Scene) -> None:
    """A page makes one when it cuts a text, and the collector refuses it: it is no text in JSON."""
    tab = scene.open()
    scene.track(tab, 1, "{extra: {text: 'cut \\ud83d', path: '\\\\ud83d', whole: '\U0001f600'}}")
    scene.drain(tab)
    texts = {"text": "cut \ufffd", "path": "\\ud83d", "whole": "\U0001f600"}
    assert [each["event"]["extra"] for each in scene.stored()] == [texts]
    scene.check()


def test_large_events_stay_within_the_limits_of_a_request(scene: Scene) -> None:
    tab = scene.open()
    scene.track(tab, 14, _LARGE)
    scene.drain(tab)
    tab.js(f"void (sendAndSay(10, {_LARGE}), setTimeout(() => location.href = '/bye'))")
    tab.until("location.pathname === '/bye'")
    scene.drain(scene.open())
    assert max(len(each.body) for each in scene.proxy.received) <= 64 << 10
    assert scene.verdict().stored == 24
    scene.check()
