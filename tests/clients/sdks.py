"""The SDKs that are tried: the program of each, its property, and the events that its calls must become."""

from typing import NamedTuple

from tests.clients import calls
from tests.clients.calls import Call
from tests.running import WRITE_KEYS

_KEY_NAME = "TRACKLOG_TEST_KEY_A"


class Sdk(NamedTuple):
    """An SDK: `name` is the public id of its property, `program` a file below programs/."""

    name: str
    program: str
    dialect: str
    calls: tuple[Call, ...]
    mode: str = ""
    """The third argument of the program."""
    has_secret: bool = False
    """Whether its property has a write key, which the SDK gets as `ID:SECRET`."""
    has_ids: bool = True
    """Whether it gives each event an id of its own."""
    s2s: bool = True
    """Whether its events are marked as sent by a server."""

    @property
    def key(self) -> str:
        """What the SDK is configured with."""
        return f"{self.name}:{WRITE_KEYS[_KEY_NAME]}" if self.has_secret else self.name

    @property
    def is_of_pages(self) -> bool:
        """Whether it runs in a browser."""
        return self.program.endswith("_browser.mjs")

    @property
    def is_quick(self) -> bool:
        """Whether `make test` runs it too: those for Python need no other program."""
        return self.program.endswith(".py")

    @property
    def sends_again(self) -> bool:
        """Whether it sends again what was not answered. A page's beacon has no answer that anybody reads."""
        return not self.name.startswith(("jitsu", "matomo", "cloudevents")) and self.mode != "beacon"


_SERVER_OF_SNOWPLOW = (calls.PAGE_VIEW, calls.STRUCTURED, calls.SELF_DESCRIBING)
_NODE_OF_SNOWPLOW = (
    *_SERVER_OF_SNOWPLOW,
    calls.PAGE_PING,
    calls.SCREEN_VIEW,
    calls.ADD_TO_CART,
    calls.TRANSACTION,
    calls.TRANSACTION_ITEM,
)
_PYTHON_OF_SNOWPLOW = (*_SERVER_OF_SNOWPLOW, calls.PAGE_PING, calls.MOBILE_SCREEN_VIEW)
_JAVA_OF_SNOWPLOW = (
    *_SERVER_OF_SNOWPLOW,
    calls.SCREEN_VIEW,
    calls.TIMING,
    calls.TRANSACTION,
    calls.TRANSACTION_ITEM,
)
_PAGES_OF_SNOWPLOW = (*_SERVER_OF_SNOWPLOW, calls.PAGE_PINGS)
_OF_POSTHOG = (calls.CAPTURE, calls.POSTHOG_ALIAS, calls.GROUP_IDENTIFY, calls.EXCEPTION)
_SERVER_OF_POSTHOG = (*_OF_POSTHOG, calls.PAGEVIEW, calls.POSTHOG_SCREEN)
_PAGES_OF_POSTHOG = (*_OF_POSTHOG, calls.LANDING, calls.POSTHOG_IDENTIFY, calls.SET_PLAN, calls.PAGELEAVE)

SDKS = (
    Sdk("segment-node", "segment_node.mjs", "segment", calls.ALL_OF_SEGMENT),
    Sdk("segment-python", "segment_python.py", "segment", calls.ALL_OF_SEGMENT),
    Sdk("segment-java", "SegmentJava.java", "segment", calls.ALL_OF_SEGMENT),
    Sdk("segment-browser", "segment_browser.mjs", "segment", calls.ALL_OF_SEGMENT, s2s=False),
    Sdk("rudder-node", "rudder_node.mjs", "segment", calls.ALL_OF_SEGMENT),
    Sdk("rudder-python", "rudder_python.py", "segment", calls.ALL_OF_SEGMENT),
    Sdk("rudder-browser", "rudder_browser.mjs", "segment", calls.ALL_OF_RUDDER_IN_PAGES, s2s=False),
    Sdk("rudder-beacon", "rudder_browser.mjs", "segment", calls.ALL_OF_RUDDER_IN_PAGES, "beacon", s2s=False),
    Sdk("jitsu-node", "jitsu_node.mjs", "segment", calls.ALL_OF_JITSU, has_secret=True),
    Sdk("jitsu-browser", "jitsu_browser.mjs", "segment", calls.ALL_OF_JITSU, has_secret=True, s2s=False),
    Sdk("snowplow-node", "snowplow_node.mjs", "snowplow", _NODE_OF_SNOWPLOW),
    Sdk("snowplow-node-get", "snowplow_node.mjs", "snowplow", _NODE_OF_SNOWPLOW, "get"),
    Sdk("snowplow-python", "snowplow_python.py", "snowplow", _PYTHON_OF_SNOWPLOW),
    Sdk("snowplow-python-get", "snowplow_python.py", "snowplow", _PYTHON_OF_SNOWPLOW, "get"),
    Sdk("snowplow-java", "SnowplowJava.java", "snowplow", _JAVA_OF_SNOWPLOW),
    Sdk("snowplow-browser", "snowplow_browser.mjs", "snowplow", _PAGES_OF_SNOWPLOW, s2s=False),
    Sdk("snowplow-browser-get", "snowplow_browser.mjs", "snowplow", _PAGES_OF_SNOWPLOW, "get", s2s=False),
    Sdk("matomo-node", "matomo_node.mjs", "matomo", calls.ALL_OF_MATOMO_NODE, has_ids=False, s2s=False),
    Sdk("matomo-browser", "matomo_browser.mjs", "matomo", calls.ALL_OF_MATOMO_IN_PAGES, has_ids=False, s2s=False),
    Sdk("posthog-node", "posthog_node.mjs", "posthog", (*_SERVER_OF_POSTHOG, calls.POSTHOG_IDENTIFY)),
    Sdk("posthog-python", "posthog_python.py", "posthog", (*_SERVER_OF_POSTHOG, calls.SET, calls.SET_ONCE)),
    Sdk("posthog-browser", "posthog_browser.mjs", "posthog", _PAGES_OF_POSTHOG, s2s=False),
    Sdk("cloudevents-node", "cloudevents_node.mjs", "cloudevents", (calls.CLOUD_EVENT,) * 2, s2s=False),
    Sdk("cloudevents-python", "cloudevents_python.py", "cloudevents", (calls.CLOUD_EVENT,) * 2, s2s=False),
)


def settings(origin: str) -> str:
    """The settings of a collector with a property for each SDK and a file sink; pages are at `origin`."""
    return "\n".join([_SERVER, *(_property(number, sdk, origin) for number, sdk in enumerate(SDKS, start=1))])


def prop_id(sdk: Sdk) -> int:
    """The number of the property of an SDK, which its records have."""
    return SDKS.index(sdk) + 1


def _property(number: int, sdk: Sdk, origin: str) -> str:
    lines = [
        "[[property]]",
        "portal_id = 33167",
        f"prop_id = {number}",
        f'id = "{sdk.name}"',
        f'dialects = ["{sdk.dialect}"]',
    ]
    if sdk.is_of_pages:
        lines.append(f'origins = ["{origin}"]')
    if sdk.has_secret:
        lines.append(f'write_keys = ["env:{_KEY_NAME}"]')
    return "\n".join(lines)


_SERVER = """
[server]
port = {port}
workers = {workers}
[admin]
port = 0
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.2
"""
