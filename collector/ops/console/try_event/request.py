"""A request by the view Try for a property and a dialect, pure. Its path and headers are from fixed tables."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import urlencode

from msgspec import Meta, Struct

from collector.ops.console.lookup.curl import KEY_HEADER
from collector.ops.console.try_event.events import USER_AGENT
from collector.settings import PropertySettings
from collector.settings.fields import DialectName
from collector.settings.paths import DIALECT_PATHS

ResponseTypeName = Literal["json", "javascript", "pixel", "redirect"]
_JSON: Final = "application/json"
_NAMES: Final[Mapping[DialectName | Literal["event"], str]] = {
    "segment": "writeKey",
    "snowplow": "aid",
    "matomo": "idsite",
    "posthog": "api_key",
}
"""The parameter of the query by which each dialect takes the property."""


class Try(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/try`."""

    property: Annotated[str, Meta(max_length=40)]
    """`PORTAL/PROP`."""
    body: str
    dialect: DialectName | Literal["event"] = "event"
    type: ResponseTypeName = "json"
    """The type of response, of `/event` alone."""
    redirect_url: Annotated[str, Meta(max_length=2000)] = ""
    """Where a response of the type `redirect` leads; empty for the first of the property's redirect hosts."""


class TryRequest(NamedTuple):
    """A POST to the event port."""

    target: str
    headers: dict[str, str]
    body: bytes


def try_request(attempt: Try, prop: PropertySettings, key: str | None) -> TryRequest:
    """The request for a property. `key` is one of its write keys, None if it has none."""
    body = attempt.body.encode()
    headers = {"content-type": _media_type(attempt.dialect, body), "user-agent": USER_AGENT}
    if prop.origins and "*" not in prop.origins:
        headers["origin"] = prop.origins[0]
    if key is not None:
        headers[KEY_HEADER] = key
    return TryRequest(_target(attempt, prop), headers, body)


def _target(attempt: Try, prop: PropertySettings) -> str:
    if attempt.dialect != "event" and attempt.dialect in _NAMES:
        path = DIALECT_PATHS[attempt.dialect][0]
        return f"{path}?{urlencode({_NAMES[attempt.dialect]: prop.public_id})}"
    query: dict[str, object] = {"portal_id": prop.portal_id, "prop_id": prop.prop_id, "resp_type": attempt.type}
    if attempt.type == "redirect":
        host = prop.redirect_hosts[0].replace("*", "www") if prop.redirect_hosts else ""
        query["redirect_url"] = attempt.redirect_url or (host and f"https://{host}/")
    return f"/event?{urlencode(query)}"


def _media_type(dialect: str, body: bytes) -> str:
    first = body.lstrip()[:1]
    if dialect == "cloudevents":
        return "application/cloudevents-batch+json" if first == b"[" else "application/cloudevents+json"
    if dialect == "matomo" and first != b"{":
        return "application/x-www-form-urlencoded"
    return _JSON
