"""One scene: a visitor's tabs, a proxy that injects faults, and the verdict on what the log holds at the end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.running import Collector, eventually, running
from tests.tracker.background import Background
from tests.tracker.browser import Tab, Visitor
from tests.tracker.pages import HOSTS, Pages
from tests.tracker.proxy import Proxy

PORTAL_ID = 33167
PROP_ID = 1
ANYWHERE = 2
"""A property that takes events of any origin."""
PREFIX = f"tl1:{PORTAL_ID}:{PROP_ID}:"
"""Of the keys that the tracker has in the storage of a page."""
_SETTINGS = f"""
[server]
port = {{port}}
workers = {{workers}}
[[property]]
portal_id = {PORTAL_ID}
prop_id = {PROP_ID}
id = "shop"
required = ["ea", "ec"]
dedup = "26h"
events_per_second = 1e6
origins = %s
[[property]]
portal_id = {PORTAL_ID}
prop_id = {ANYWHERE}
id = "anywhere"
required = ["ea", "ec"]
dedup = "26h"
"""


class Site(NamedTuple):
    """The pages, and the collector that they send to."""

    background: Background
    pages: Pages
    collector: Collector


@contextmanager
def site(background: Background, folder: Path) -> Iterator[Site]:
    """Pages and a collector with a property for them."""
    pages = Pages(background)
    try:
        with running(folder, 2, _SETTINGS % str(pages.origins()).replace("'", '"')) as collector:
            yield Site(background, pages, collector)
    finally:
        pages.close()


class Verdict(NamedTuple):
    """What became of the events that `track` returned an id for."""

    returned: int
    stored: int
    """Different ones in the log."""
    missing: list[str]
    """Neither in the log nor told by `onDrop`."""
    twice: list[str]
    told: int
    """By `onDrop`."""
    lost: int
    """The sum of the counts `lost` in the log: events that were dropped for a limit or refused."""
    copies: int
    """Events that came to the collector's door beyond the first time."""

    @property
    def is_kept(self) -> bool:
        """Whether the promise was kept."""
        return len(self.missing) <= self.lost and not self.twice


class Scene:
    """A visitor of the pages behind a proxy of their own. Close it at the end."""

    def __init__(self, where: Site, visitor: Visitor) -> None:
        self.site = where
        self.visitor = visitor
        self.proxy = Proxy(where.background, where.collector.port)
        self.tabs: list[Tab] = []
        self._returned: set[str] = set()

    def url(self, path: str = "plain", host: str = "127.0.0.1", **options: Any) -> str:
        """The address of a page that sends through the proxy."""
        given = {"url": self.proxy.url, "portal": PORTAL_ID, "prop": PROP_ID, "consent": "granted", **options}
        return self.site.pages.url(path, given, host)

    def open(self, path: str = "plain", host: str = "127.0.0.1", before: str = "", **options: Any) -> Tab:
        """A tab with a page that has loaded; `before` is script that runs in it before the page's own."""
        tab = self.visitor.open()
        self.tabs.append(tab)
        if before:
            tab.before_scripts(before)
        tab.go(self.url(path, host, **options))
        return tab

    def track(self, tab: Tab, count: int = 1, more: str = "{}") -> list[str]:
        """Track events with these further fields, and note and return their ids."""
        ids = [each for each in tab.js(f"send({count}, {more})") if each]
        self._returned.update(ids)
        return ids

    def drain(self, tab: Tab) -> None:
        """Return once nothing is queued on the device and nothing flies."""
        tab.until("queue().length === 0 && tracklog('stats').queued === 0 && tracklog('stats').flying === 0")

    def returned(self) -> set[str]:
        """All ids that `track` returned, also those that pages told."""
        told = [each["returned"] for tab in self.tabs for each in tab.told if "returned" in each]
        return self._returned | {each for ids in told for each in ids if each}

    def dropped(self) -> dict[str, str]:
        """The ids that `onDrop` told, and why."""
        told = [each for tab in self.tabs for each in tab.told]
        return {each["dropped"]: each["why"] for each in told if "dropped" in each}

    def errors(self) -> list[str]:
        """What all pages told on the console or did not catch."""
        return [each for tab in self.tabs for each in tab.errors]

    def stored(self, records: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
        """The records of this scene's events, in the order of the log; `records` are those of the whole log."""
        seen = {each for received in self.proxy.received for each in received.ids}
        return [each for each in records or self.site.collector.stored() if each["event_id"] in seen]

    def check(self) -> None:
        """The promise was kept, no page complained, and nothing went to other hosts."""
        verdict = self.verdict()
        assert verdict.is_kept, verdict
        assert self.errors() == [], self.errors()
        others = {urlsplit(url).hostname for tab in self.tabs for url in tab.requested if "http" in url} - HOSTS
        assert others == set(), others

    def verdict(self, records: Sequence[dict[str, Any]] = ()) -> Verdict:
        """Compare the log with the ids; `records` are those of the whole log."""
        stored = self.stored(records)
        times = Counter(each["event_id"] for each in stored)
        returned, dropped = self.returned(), self.dropped()
        came = [each for received in self.proxy.received for each in received.ids]
        return Verdict(
            len(returned),
            len(times),
            sorted(returned - times.keys() - dropped.keys()),
            sorted(each for each, count in times.items() if count > 1),
            len(dropped),
            sum(each["event"].get("lost", 0) for each in stored),
            len(came) - len(set(came)),
        )

    def fate(self, event_id: str) -> list[str]:
        """The requests that an event was part of: what was injected, and the status that was answered."""
        sent = [each for each in self.proxy.received if event_id in each.ids]
        return [f"{each.fault.name}: {each.status}" for each in sent]

    def arrive(self, ids: list[str]) -> None:
        """Return once the log has these events."""
        eventually(lambda: set(ids) <= {each["event_id"] for each in self.stored()}, "the events are in the log")

    def close(self) -> None:
        """Forget the visitor, and stop the proxy."""
        self.visitor.close()
        self.proxy.close()
