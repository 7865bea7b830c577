"""The events of Snowplow's SDK for Python, by POST or, with a third argument `get`, by GET."""

import sys
import time

from report import HOST, KEY, failed, report

METHOD = sys.argv[3] if len(sys.argv) > 3 else "post"

PATIENCE_SECONDS = 15
sent: list[object] = []


def on_failure(_sent: int, unsent: list[object]) -> None:
    failed(f"{len(unsent)} events were not sent")


# [set up]
from snowplow_tracker import (
    EmitterConfiguration,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    Snowplow,
    StructuredEvent,
    Subject,
)

tracker = Snowplow.create_tracker(
    namespace="shop",
    endpoint=HOST,
    method=METHOD,
    app_id=KEY,
    emitter_config=EmitterConfiguration(on_success=sent.extend, on_failure=on_failure),
)
# [end]
SUBJECT = Subject()
SUBJECT.set_user_id("u-8812").set_domain_user_id("device-1").set_domain_session_id(
    "5f2a9a50-8cf0-41bd-b23e-10b96e40000d"
)
PLAN = SelfDescribingJson("iglu:com.example/plan/jsonschema/1-0-0", {"name": "pro"})
VIEWED = SelfDescribingJson("iglu:com.example/viewed_product/jsonschema/1-0-0", {"sku": "45790-32"})
PAGE = "https://shop.example.com/p/864115"
EVENTS = (
    PageView(page_url=PAGE, page_title="Television", event_subject=SUBJECT, context=[PLAN]),
    PagePing(page_url=PAGE, max_y=40, event_subject=SUBJECT),
    StructuredEvent("product", "view", label="Television", property_="864115", value=45, event_subject=SUBJECT),
    SelfDescribing(event_json=VIEWED, event_subject=SUBJECT),
    ScreenView(id_="s-1", name="Home", event_subject=SUBJECT),
)
for event in EVENTS:
    tracker.track(event)
tracker.flush()
# The tracker sends what failed again after a while, but does not wait for it.
deadline = time.monotonic() + PATIENCE_SECONDS
while len(sent) < len(EVENTS) and time.monotonic() < deadline:
    time.sleep(0.05)
report()
