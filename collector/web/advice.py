"""Advice on the settings of a property whose events come from pages with the tracker, pure."""

from collections.abc import Iterator
from typing import Final

from collector.settings import PropertySettings
from collector.settings.durations import milliseconds

_ALWAYS: Final = ("ea", "ec")
"""Fields that the tracker's events always have. The others need consent, or a page that gives them."""
_SHORTEST_DEDUP: Final = "25h"
"""The tracker sends an event of unknown fate again for a day."""

GENERAL_ADVICE: Final = (
    "the visitor's consent is pending, and nothing is sent until the page calls tracklog('consent', 'granted')",
    "an upgrade may change the script's name and integrity: print the tags again then",
)
"""Advice for every property."""


def advice(prop: PropertySettings) -> Iterator[str]:
    """Yield a sentence for each setting that suits pages with the tracker badly: the fault, and the value to set."""
    if extra := sorted(set(prop.required) - set(_ALWAYS)):
        yield f'events of the tracker may lack {", ".join(extra)}, and are refused then: set required = ["ea", "ec"]'
    if prop.dedup_ms < milliseconds(_SHORTEST_DEDUP):
        found = f"only {prop.dedup}" if prop.dedup_ms else "off"
        yield f'dedup is {found}, so that an event that a page sends again may be stored twice: set dedup = "26h"'
    if not prop.origins or "*" in prop.origins:
        yield 'pages of any site may send to it: set origins = ["https://shop.example.com"], with your own'
    if prop.write_keys:
        yield "it needs a write key, which a page can't keep secret and the tracker doesn't send: remove write_keys"
    if prop.source != "web":
        yield f'its source is {prop.source}, so that records don\'t say that pages sent them: set source = "web"'
