"""Pages, storages, proxies and orders of calls that are not as the guide has them: no call throws, and none is lost."""

import json
from typing import Any

import pytest

from tests.running import eventually
from tests.tracker import BOTH, faults
from tests.tracker.browser import Tab
from tests.tracker.faults import Fault
from tests.tracker.scene import PORTAL_ID, PREFIX, PROP_ID, Scene

pytestmark = pytest.mark.clients
_HELPERS = """void (window.errors = [], addEventListener('error', ({message}) => errors.push(message)),
    window.dropped = [], window.load = () => new Promise(done => {
        const script = document.createElement('script')
        script.src = '/t.js'
        script.onload = done
        document.head.append(script)
    }))"""
_STUB = "void (window.tracklog = function () { (tracklog.q = tracklog.q || []).push([Date.now(), arguments]) })"
_THROWS = "{get price() { throw new Error('of the page') }}"


def _bare(scene: Scene, *scripts: str) -> Tab:
    """A tab with a page that has not loaded the tracker yet, after these scripts."""
    tab = scene.visitor.open()
    scene.tabs.append(tab)
    tab.go(f"http://127.0.0.1:{scene.site.pages.port}/bare")
    for script in (_HELPERS, *scripts):
        tab.js(script)
    return tab


def _init(scene: Scene, **options: Any) -> str:
    given = {"url": scene.proxy.url, "portal": PORTAL_ID, "prop": PROP_ID, "consent": "granted", **options}
    return f"void tracklog('init', {{...{json.dumps(given)}, onDrop: event => dropped.push(event.event_id)}})"


def _sent(scene: Scene) -> list[dict[str, Any]]:
    return [event for request in scene.proxy.received for event in request.events]


def _arrived(scene: Scene, *categories: str) -> list[dict[str, Any]]:
    """The stored events, once there is one of each of these categories, in their order."""

    def stored() -> dict[str, dict[str, Any]]:
        return {record["event"]["ec"]: record for record in scene.stored()}

    eventually(lambda: set(categories) <= set(stored()), f"{categories} are in the log")
    return [stored()[each] for each in categories]


@BOTH
def test_a_page_on_the_way_back_follows_a_denial(scene: Scene) -> None:
    tab = scene.open(pages=True)
    scene.drain(tab)
    tab.go(scene.url("next"))
    tab.until("tracklog('consent') === 'granted'")
    scene.drain(tab)
    tab.js("tracklog('consent', 'denied')")
    sent = len(scene.proxy.received)
    tab.back()
    tab.until("tracklog('consent') === 'denied'")
    assert tab.js("tracklog('track', 'view', 'later')") is None
    assert (tab.js("device()"), len(scene.proxy.received)) == ({}, sent)


def test_without_a_grant_no_cookie_of_the_collector_is_sent(scene: Scene) -> None:
    tab = scene.open(consent="anonymous", credentials="include")
    for _ in range(2):
        scene.track(tab)
        scene.drain(tab)
    assert [each.headers.get("cookie") for each in scene.proxy.received] == [None, None]
    granted = scene.open(credentials="include")
    for _ in range(2):
        scene.track(granted)
        scene.drain(granted)
    assert "an_session" in scene.proxy.received[-1].headers["cookie"]


@pytest.mark.parametrize("status", [301, 302, 303, 307])
def test_an_event_outlives_a_redirect(scene: Scene, status: int) -> None:
    """Browsers repeat a redirected POST as a GET without its body, which the collector can only refuse."""
    where = (("location", f"{scene.proxy.url}?portal_id={PORTAL_ID}&prop_id={PROP_ID}&resp_type=json"),)
    scene.proxy.faults.append(Fault(f"{status}", status=status, headers=where))
    tab = scene.open()
    scene.arrive(scene.track(tab))
    scene.drain(tab)
    assert {each.method for each in scene.proxy.received} <= {"POST"}
    scene.check()


def test_calls_before_init_outlive_one_that_fails(scene: Scene) -> None:
    tab = _bare(scene, "load()")
    tab.js("void tracklog('track', 'view', 'ring', {extra: window})")  # which is no JSON
    tab.js("void (tracklog('track', 'view', 'after'), tracklog('identify', 'ada'), tracklog('consent', 'granted'))")
    tab.js(_init(scene, consent="pending", pages=True))
    after, page = _arrived(scene, "after", "page")
    assert (after["event"].get("uid"), page["event"]["uid"]) == (None, "ada")
    assert (tab.js("tracklog('consent')"), tab.js("errors")) == ("granted", [])


def test_before_init_no_id_is_returned_for_an_event_that_is_not_kept_and_a_denial_counts(scene: Scene) -> None:
    tab = _bare(scene, "load()")
    ids = tab.js("Array.from({length: 70}, () => tracklog('track', 'view', 'early'))")
    assert [each is not None for each in ids] == [True] * 50 + [False] * 20
    tab.js("void tracklog('consent', 'denied')")
    tab.js(_init(scene))
    assert tab.js("tracklog('consent')") == "denied"
    assert set(tab.js("dropped")) == set(ids) - {None}
    assert scene.proxy.received == []


def test_a_stub_that_nobody_called_is_replaced(scene: Scene) -> None:
    tab = _bare(scene, _STUB, "load()", _init(scene), "void tracklog('track', 'view', 'called')")
    _arrived(scene, "called")
    tab.js("load()")  # once more, which must not start a second tracker
    tab.js("void tracklog('track', 'view', 'again')")
    _arrived(scene, "again")
    assert [each["ec"] for each in _sent(scene)] == ["called", "again"]


def test_no_call_throws_and_none_holds_up_the_next(scene: Scene) -> None:
    tab = _bare(scene, _STUB, _init(scene), f"void tracklog('track', 'view', 'bad', {_THROWS})")
    tab.js("void (tracklog.q.push(null, [1]), tracklog('track', 'view', 'queued'))")
    tab.js("load()")
    calls = ("tracklog('track', 'view', 'x', EVENT)", "tracklog('page', EVENT)", "web_event.track('x', 'view', EVENT)")
    assert [tab.js(each.replace("EVENT", _THROWS)) for each in calls] == [None] * 3
    began = tab.js("Date.now()")
    tab.js("void tracklog('track', 'view', 'later')")
    _, later = _arrived(scene, "queued", "later")
    assert later["event"]["et"] >= began
    assert tab.js("errors") == []


def test_before_init_flush_does_not_say_that_all_is_stored(scene: Scene) -> None:
    tab = _bare(scene, "load()", "void tracklog('track', 'view', 'early')")
    assert tab.js("tracklog('flush')") is False
    tab.js(_init(scene))
    _arrived(scene, "early")
    assert tab.js("tracklog('flush')") is True


def test_after_a_reset_an_answer_on_its_way_does_not_bring_the_session_back(scene: Scene) -> None:
    tab = scene.open()
    scene.track(tab, 1, "{ec: 'first'}")
    scene.drain(tab)
    scene.proxy.faults.append(faults.delay(1.0))
    scene.track(tab, 1, "{ec: 'last'}")
    eventually(lambda: scene.proxy.flying, "it is on its way")
    tab.js("void tracklog('reset')")
    scene.drain(tab)
    scene.track(tab, 1, "{ec: 'next'}")
    scene.drain(tab)
    first, last, following = _arrived(scene, "first", "last", "next")
    assert first["event"]["aid"] == last["event"]["aid"] != following["event"]["aid"]
    assert (last["session"]["hits"], following["session"]["hits"]) == (2, 1)


def test_without_a_storage_the_events_of_a_page_are_one_session(scene: Scene) -> None:
    tab = scene.open("sandbox", prop=2)  # of any origin: that of a sandboxed page is `null`
    for _ in range(3):
        scene.track(tab)
        tab.until("tracklog('stats').queued === 0")
    eventually(lambda: len(scene.stored()) == 3, "all are in the log")
    assert [each["session"]["hits"] for each in scene.stored()] == [1, 2, 3]


@pytest.mark.parametrize("headers", [(), (("retry-after", "Wed, 21 Oct 2099 07:28:00 GMT"),)], ids=["none", "a date"])
def test_a_refusal_without_seconds_to_wait_is_waited_for_longer_each_time(
    scene: Scene, headers: tuple[tuple[str, str], ...]
) -> None:
    scene.proxy.plan = lambda: Fault("503", status=503, headers=headers)
    tab = scene.open()
    scene.track(tab)
    tab.until(f"localStorage['{PREFIX}w'] - Date.now() > 2500")
    assert len(scene.proxy.received) > 1


@pytest.mark.parametrize("body", ["<html>Request Header Or Cookie Too Large", '{"code": "blocked"}'])
def test_events_outlive_a_400_of_somebody_else(scene: Scene, body: str) -> None:
    scene.proxy.faults.append(Fault("400 of a proxy", status=400, body=body))
    tab = scene.open()
    scene.track(tab, 2)
    tab.until(f"localStorage['{PREFIX}w'] - Date.now() > 5 * 60000")
    assert (len(tab.js("queue()")), scene.dropped()) == (2, {})


@pytest.mark.parametrize("trap", ["get", "set", "ownKeys", "deleteProperty"])
def test_a_storage_that_fails_costs_no_event_and_no_error(scene: Scene, trap: str) -> None:
    tab = _bare(
        scene,
        f"void (window.broken = new Proxy({{}}, {{{trap}() {{ throw new DOMException('corrupt') }}}}),"
        "Object.defineProperty(window, 'localStorage', {get: () => broken}))",
        "load()",
        _init(scene),
    )
    ids = tab.js("[tracklog('track', 'view', 'x'), tracklog('track', 'view', 'y')]")
    if trap != "get":  # where nothing can be read, nothing is promised: `track` returns null
        _arrived(scene, "x", "y")
    assert [each is None for each in ids] == [trap == "get"] * 2
    assert tab.js("errors") == []


def test_only_clicks_that_lead_to_an_address_are_told(scene: Scene) -> None:
    tab = _bare(scene, "load()", _init(scene, clicks=True))
    tab.js("""void (document.body.innerHTML = `<a id="out" href="https://other.example/a">out</a>
        <a id="file" href="/prices.pdf">prices</a><a id="mail" href="mailto:shop@example.com.pdf">mail</a>
        <a id="data" download="a.csv" href="data:text/csv,name,iban">export</a>`,
        addEventListener('click', event => event.preventDefault()))""")
    tab.js("""void ['data', 'mail', 'out', 'file'].forEach(id => document.getElementById(id).click())""")
    tab.js("""void [2, 1].forEach(button => document.getElementById('out').dispatchEvent(
        new MouseEvent('auxclick', {button, bubbles: true})))""")
    _arrived(scene, "outbound", "download")
    tab.until("tracklog('stats').queued === 0")
    assert [each["ec"] for each in _sent(scene)] == ["outbound", "download", "outbound"]


def test_a_reset_before_a_choice_forgets_an_earlier_grant(scene: Scene) -> None:
    tab = scene.open()
    scene.track(tab)
    scene.drain(tab)
    device = tab.js(f"localStorage['{PREFIX}a']")
    tab.go(scene.url("next", consent="pending"))
    tab.js("void tracklog('reset')")
    assert not {f"{PREFIX}a", f"{PREFIX}s"} & set(tab.js("device()"))
    tab.js("void tracklog('consent', 'granted')")
    scene.track(tab)
    scene.drain(tab)
    assert tab.js(f"localStorage['{PREFIX}a']") not in (None, device)
