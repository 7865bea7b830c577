"""What each answer of the collector, or none, means for the events of its request."""

from collections.abc import Callable

import pytest

from tests.running import eventually
from tests.tracker import BOTH, faults
from tests.tracker.browser import Tab
from tests.tracker.faults import Fault, refuse
from tests.tracker.scene import PREFIX, Scene

pytestmark = pytest.mark.clients
Begin = Callable[[], Scene]
_PASSING = (
    *(refuse(status) for status in (408, 429, 500, 502, 503, 504)),
    refuse(429, 1),
    refuse(503, 1),
    faults.CUT,
    faults.LOSE,
    faults.PORTAL,
    faults.GARBAGE,
    faults.OTHER_JSON,
    faults.redirect("http://127.0.0.1:1/login"),
    faults.HANG,
)
"""What ends by itself: the same events are sent again."""
_SETTINGS = (401, 403, 404, 405, 414, 431)


def _track_into(begin: Begin, fault: Fault, count: int = 1) -> Scene:
    """A scene whose first request has this fault."""
    scene = begin()
    scene.proxy.faults.append(fault)
    scene.track(scene.open(), count)
    return scene


@BOTH
def test_an_event_outlives_every_fault_that_passes(begin: Begin) -> None:
    scenes = [_track_into(begin, fault) for fault in _PASSING]
    for each, fault in zip(scenes, _PASSING, strict=True):
        each.drain(each.tabs[0])
        assert each.verdict().stored == 1, fault
        assert len({received.ids[0] for received in each.proxy.received}) == 1, fault
        each.check()


@BOTH
@pytest.mark.parametrize("status", [429, 503])
def test_no_tab_sends_before_retry_after(scene: Scene, status: int) -> None:
    scene.proxy.faults.append(refuse(status, 2))
    first, second = scene.open(), scene.open()
    scene.track(first)
    eventually(lambda: scene.proxy.received, "the first request comes")
    scene.track(second)
    scene.drain(second)
    refused, *later = [each for each in scene.proxy.received if not each.is_leave]
    assert refused.ended
    assert min(each.began for each in later) - refused.ended >= 2
    scene.check()


@pytest.mark.parametrize(
    "refusal", [refuse(400)._replace(body='{"code": "invalid_event"}'), refuse(413)], ids=["invalid", "too large"]
)
def test_an_event_that_is_refused_for_its_content_is_told_and_not_sent_again(scene: Scene, refusal: Fault) -> None:
    scene.proxy.faults.append(refusal)
    tab = scene.open()
    (refused,) = scene.track(tab)
    scene.drain(tab)
    assert scene.dropped() == {refused: "rejected"}
    scene.track(tab)
    scene.drain(tab)
    assert [refused in each.ids for each in scene.proxy.received] == [True, False]
    scene.check()


def test_one_bad_event_of_a_batch_is_told_and_the_others_are_stored(scene: Scene) -> None:
    tab = scene.open()
    bad, good = tab.js("[...send(1, {ea: 'x'.repeat(300)}), ...send(1)]")
    scene.arrive([good])
    scene.drain(tab)
    assert scene.dropped() == {bad: "rejected"}
    scene.check()


def test_a_batch_that_is_too_large_goes_in_parts(scene: Scene) -> None:
    scene.proxy.faults.append(refuse(413))
    tab = scene.open()
    scene.track(tab, 8)
    scene.drain(tab)
    assert [len(each.ids) for each in scene.proxy.received][:2] == [8, 4]
    assert (scene.verdict().stored, scene.dropped()) == (8, {})
    scene.check()


@pytest.mark.parametrize("status", _SETTINGS)
def test_wrong_settings_keep_the_events_for_later(scene: Scene, status: int) -> None:
    scene.proxy.faults.append(refuse(status))
    tab = scene.open()
    scene.track(tab)
    tab.until(f"localStorage['{PREFIX}w']")
    assert tab.js(f"localStorage['{PREFIX}w'] - Date.now() > 5 * 60000")
    assert len(tab.js("queue()")) == 1
    later = scene.open(before="const now = Date.now; Date.now = () => now() + 16 * 60000")
    scene.drain(later)
    assert scene.verdict().stored == 1
    scene.check()


def test_a_503_that_says_stored_ends_it(scene: Scene) -> None:
    scene.proxy.faults.append(faults.STORED_503)
    tab = scene.open()
    scene.track(tab, 3)
    scene.drain(tab)
    verdict = scene.verdict()
    assert (verdict.stored, verdict.copies) == (3, 0)
    scene.check()


def test_an_answer_that_was_lost_makes_a_copy_that_is_not_stored(scene: Scene) -> None:
    scene.proxy.faults.extend([faults.LOSE, faults.LOSE])
    tab = scene.open()
    scene.track(tab, 5)
    scene.drain(tab)
    verdict = scene.verdict()
    assert (verdict.stored, verdict.copies) == (5, 10)
    scene.check()


@BOTH
def test_a_page_that_can_not_reach_the_collector_asks_thrice_and_then_when_it_is_on_line_again(scene: Scene) -> None:
    scene.proxy.plan = lambda: faults.CUT
    tab = scene.open()
    scene.track(tab)
    eventually(lambda: _asked(scene, tab) == 3, "it is asked thrice")
    scene.track(tab, 2)
    tab.set_offline(True)
    scene.proxy.plan = lambda: faults.PASS
    tab.set_offline(False)
    scene.drain(tab)
    assert scene.verdict().stored == 3
    scene.check()


def _asked(scene: Scene, tab: Tab) -> int:
    """How often; a browser that sends a request again by itself does not count."""
    return sum(url.startswith(scene.proxy.url) for url in tab.requested)


def test_the_token_of_an_answer_goes_on_in_the_next_request(scene: Scene) -> None:
    tab = scene.open()
    for _ in range(2):
        scene.track(tab)
        scene.drain(tab)
    tab.reload()
    scene.track(tab)
    scene.drain(tab)
    assert [each["session"]["hits"] for each in scene.stored()] == [1, 2, 3]
    assert len({each["client_id"] for each in scene.stored()}) == 1
    scene.check()


def test_no_request_needs_a_preflight_or_has_a_cookie(scene: Scene) -> None:
    tab = scene.open()
    scene.track(tab, 2)
    scene.drain(tab)
    tab.js("send(1), setTimeout(() => location.reload())")
    eventually(lambda: len(scene.proxy.received) > 1, "another request")
    assert {each.method for each in scene.proxy.received} == {"POST"}
    assert {each.headers["content-type"] for each in scene.proxy.received} == {"text/plain;charset=UTF-8"}
    assert [each for each in scene.proxy.received if "cookie" in each.headers] == []
