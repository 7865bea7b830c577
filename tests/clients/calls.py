"""What the calls of the programs must be in the log, written by hand from the mapping of each dialect."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A call of an SDK as the event that it must become: `fields` are part of it, whatever else the SDK adds."""

    ea: str
    ec: str
    fields: Mapping[str, Any] = MappingProxyType({})
    least: int = 1
    most: int = 1
    """How often it is made. An SDK makes some calls by itself, and a page may be gone before its last one is sent."""


_PERSON = {"uid": "u-8812"}
_ITEM = {"id": "864115"}
_ORDER = {
    "items": [_ITEM | {"price": 19}, {"id": "45790-32", "price": 8.5}],
    "extra": {"order_id": "o-1", "total": 27.5},
}

IDENTIFY = Call("identify", "user", {"dims": {"users": {"id": "u-8812", "email": "a@example.com", "plan": "pro"}}})
TRACK = Call("Product Viewed", "track", _PERSON | {"items": [_ITEM], "extra": {"price": 45}})
ORDER = Call("Order Completed", "track", _PERSON | _ORDER)
PAGE = Call("view", "page", _PERSON | {"extra": {"name": "Home"}})
SCREEN = Call("view", "screen", _PERSON | {"extra": {"name": "Home"}})
GROUP = Call("group", "group", {"dims": {"groups": {"id": "g-1", "name": "Acme"}}})
ALIAS = Call("alias", "user", {"extra": {"previous_id": "device-1"}})
ALL_OF_SEGMENT = (IDENTIFY, TRACK, ORDER, PAGE, SCREEN, GROUP, ALIAS)
ALL_OF_RUDDER_IN_PAGES = (IDENTIFY, TRACK, ORDER, PAGE, GROUP, ALIAS)
ALL_OF_JITSU = (IDENTIFY, TRACK, ORDER, PAGE, GROUP)

_SNOWPLOW = "com.snowplowanalytics.snowplow"
_PLAN = {"entities": [{"schema": "iglu:com.example/plan/jsonschema/1-0-0", "data": {"name": "pro"}}]}
PAGE_VIEW = Call("view", "page", _PERSON | {"context": {"page": "Television"} | _PLAN})
PAGE_PING = Call("ping", "page", _PERSON)
PAGE_PINGS = PAGE_PING._replace(most=20)
STRUCTURED = Call("view", "product", _PERSON | {"extra": {"label": "Television", "property": "864115"}})
SELF_DESCRIBING = Call("viewed_product", "com.example", _PERSON | {"extra": {"data": {"sku": "45790-32"}}})
SCREEN_VIEW = Call("screen_view", _SNOWPLOW, {"extra": {"data": {"name": "Home", "id": "s-1"}}})
MOBILE_SCREEN_VIEW = Call("screen_view", "com.snowplowanalytics.mobile", {"extra": {"data": {"name": "Home"}}})
ADD_TO_CART = Call("add_to_cart", _SNOWPLOW, {"extra": {"data": {"sku": "864115"}}})
TIMING = Call("timing", _SNOWPLOW, {"extra": {"data": {"category": "page"}}})
TRANSACTION = Call("transaction", "order", {"extra": {"tr_id": "o-1"}})
TRANSACTION_ITEM = Call("transaction", "item", {"items": [_ITEM | {"name": "Television"}]})

_MATOMO = _PERSON | {"context": {"url": "https://shop.example.com/p/864115"}}
_ITEMS = {"items": [_ITEM | {"name": "Television"}, {"id": "45790-32"}]}
ALL_OF_MATOMO_NODE = (
    Call("view", "page", {"context": {"url": "https://shop.example.com/p/864115"}}),
    Call(
        "view", "page", {"context": {"action_name": "Television", "urlref": "https://example.com/", "res": "1920x1080"}}
    ),
    Call("view", "product", _MATOMO | {"aid": "0123456789abcdef", "extra": {"e_n": "Television"}}),
    Call("goal", "3", _MATOMO),
    Call("search", "site", _MATOMO | {"extra": {"search": "television"}}),
    Call("like", "product", _MATOMO),
    Call("purchase", "order", _MATOMO | _ITEMS),
    Call("update", "cart", _MATOMO | _ITEMS),
    Call("click", "outlink", _MATOMO),
    Call("click", "download", _MATOMO),
)
ALL_OF_MATOMO_IN_PAGES = (
    Call("view", "page", _PERSON | {"context": {"action_name": "App / start"}}),
    Call("view", "page", _MATOMO | {"context": {"action_name": "Screen / Home"}}),
    Call("view", "page", _MATOMO | {"context": {"action_name": "Television"}}),
    Call("view", "product", _MATOMO | {"extra": {"e_n": "Television"}}),
    Call("impression", "content", _MATOMO | {"extra": {"c_n": "banner"}}),
    Call("search", "site", _MATOMO | {"extra": {"search": "television"}}),
    Call("click", "outlink", _MATOMO),
    Call("click", "download", _MATOMO),
)

CAPTURE = Call("product viewed", "track", _PERSON | {"extra": {"product_id": "864115", "price": 45}})
PAGEVIEW = Call("view", "page", _PERSON | {"context": {"$current_url": "https://shop.example.com/"}})
LANDING = Call("view", "page")
PAGELEAVE = Call("leave", "page", _PERSON, least=0)
POSTHOG_SCREEN = Call("view", "screen", _PERSON)
POSTHOG_IDENTIFY = Call("identify", "user", _PERSON | {"dims": {"users": {"email": "a@example.com"}}})
SET = Call("set", "user", _PERSON | {"dims": {"users": {"email": "a@example.com"}}})
SET_PLAN = Call("set", "user", _PERSON | {"dims": {"users": {"plan": "pro"}}})
SET_ONCE = Call("$set_once", "track", _PERSON)
POSTHOG_ALIAS = Call("alias", "user")
GROUP_IDENTIFY = Call("group", "group")
EXCEPTION = Call("$exception", "track", _PERSON)

CLOUD_EVENT = Call("com.example.product.view", "/shop", _PERSON | {"extra": {"product_id": "864115"}})
