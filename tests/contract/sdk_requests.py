"""Requests of SDKs: the recorded ones, and ones made of any members that mean something to some dialect.

They have placeholders for keys: `KEY` stands for `ID` or `ID:SECRET`, `ID` for the id, and `TOKEN` for the secret as
Matomo has it in a query.
"""

import base64
import gzip
import json
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from hypothesis import strategies as st

AGENT: Final = "SecretAgent/1.0 (x)"
DIALECTS: Final = ("segment", "snowplow", "matomo", "posthog", "cloudevents")
KEY, ID, TOKEN = "@KEY@", "@ID@", "@TOKEN@"
_DIALECT_BY_NAME: Final = {"rudder": "segment", "jitsu": "segment"}
_RECORDED_KEYS: Final = ("phc_WRITE_KEY_0123456789", "WRITE_KEY_0123456789", "KEYID:@KEY@", "shop-web")
_LEFT_OUT: Final = (
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "origin",
    "referer",
)
NAMES: Final = (
    *("type", "event", "userId", "anonymousId", "messageId", "timestamp", "originalTimestamp", "sentAt", "context"),
    *("properties", "traits", "name", "groupId", "previousId", "channel", "integrations", "writeKey", "products"),
    *("e", "aid", "eid", "dtm", "stm", "uid", "duid", "sid", "vid", "ue_pr", "ue_px", "co", "cx", "ip", "ua", "p"),
    *("se_ac", "se_ca", "tr_id", "ti_sk", "url", "tv", "rec", "idsite", "e_c", "e_a", "idgoal", "ec_id", "ec_items"),
    *("cip", "cid", "_id", "cdt", "cvar", "uadata", "dimension1", "search", "ping", "send_image", "token_auth"),
    *("uuid", "distinct_id", "api_key", "token", "$ip", "$raw_user_agent", "$session_id", "$set", "$lib", "$insert_id"),
    *("specversion", "id", "source", "subject", "time", "data", "data_base64", "datacontenttype", "comexample"),
)
_TEXTS: Final = st.text(st.characters(), max_size=12)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | _TEXTS, inner, max_size=3),
    max_leaves=6,
)


class SdkRequest(NamedTuple):
    """A request of an SDK, with placeholders for its keys."""

    dialect: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: str


def recorded() -> list[SdkRequest]:
    """Every recorded request."""
    found = []
    for path in sorted((Path(__file__).parent / "sdk").glob("*.json")):
        dialect = path.stem.partition("-")[0]
        requests = json.loads(path.read_text())["requests"]
        found += [_recorded(_DIALECT_BY_NAME.get(dialect, dialect), each) for each in requests]
    return found


def _recorded(dialect: str, each: dict[str, Any]) -> SdkRequest:
    body = base64.b64decode(each.get("body_base64", "")) or each.get("body", "").encode()
    text = (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode()
    headers = tuple((name.lower(), value) for name, value in each["headers"] if name.lower() not in _LEFT_OUT)
    target = each["target"].replace("/events", f"/event?id={ID}").replace("idsite=7", f"idsite={ID}{TOKEN}")
    return SdkRequest(
        dialect,
        each["method"],
        _with_placeholders(target),
        tuple((name, _with_placeholders(value)) for name, value in headers),
        _with_placeholders(text.replace("idsite=7", f"idsite={ID}{TOKEN}")),
    )


def _with_placeholders(text: str) -> str:
    if text.startswith("Basic "):
        return f"Basic {KEY}"
    for key in _RECORDED_KEYS:
        text = text.replace(key, KEY)
    return text


@st.composite
def made(draw: st.DrawFn) -> SdkRequest:
    """A request of any members that have a meaning to some dialect."""
    dialect = draw(st.sampled_from(DIALECTS))
    start = _STARTS[dialect]
    events = [
        {**draw(st.sampled_from(start)), **draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))}
        for _ in range(draw(st.integers(1, 4)))
    ]
    return _ENVELOPES[dialect](events)


_STARTS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "segment": ({"type": "track", "event": "E"}, {"type": "identify", "traits": {}}, {"type": "page"}),
    "snowplow": ({"e": "pv", "aid": KEY}, {"e": "se", "se_ac": "a", "se_ca": "c", "aid": KEY}, {"e": "ue"}),
    "matomo": ({"rec": "1", "idsite": ID}, {"rec": 1, "e_c": "c", "e_a": "a"}, {"idgoal": "0"}),
    "posthog": ({"event": "E", "properties": {"token": KEY}}, {"event": "$pageview", "distinct_id": "u"}, {}),
    "cloudevents": ({"specversion": "1.0", "id": "1", "source": "s", "type": "t"}, {"specversion": "1.0"}),
}
_JSON_TYPE: Final = (("content-type", "application/json"), ("user-agent", AGENT))


def _segment(events: list[Any]) -> SdkRequest:
    body = {"batch": events, "writeKey": KEY, "sentAt": "2026-01-01T00:00:00Z", "context": {"ip": "203.0.113.77"}}
    headers = (*_JSON_TYPE, ("authorization", f"Basic {KEY}"))
    return SdkRequest("segment", "POST", "/v1/batch", headers, json.dumps(body))


def _snowplow(events: list[Any]) -> SdkRequest:
    if len(events) == 1:
        return SdkRequest("snowplow", "GET", "/i?" + _query(events[0]), _JSON_TYPE, "")
    path = "/com.snowplowanalytics.snowplow/tp2"
    return SdkRequest("snowplow", "POST", path, _JSON_TYPE, json.dumps({"schema": "s", "data": events}))


def _matomo(events: list[Any]) -> SdkRequest:
    if len(events) == 1:
        return SdkRequest("matomo", "GET", "/matomo.php?" + _query(events[0]), _JSON_TYPE, "")
    requests = [event if at % 2 else "?" + _query(event) for at, event in enumerate(events)]
    return SdkRequest(
        "matomo", "POST", f"/a/piwik.php?idsite={ID}{TOKEN}", _JSON_TYPE, json.dumps({"requests": requests})
    )


def _posthog(events: list[Any]) -> SdkRequest:
    return SdkRequest("posthog", "POST", "/batch/", _JSON_TYPE, json.dumps({"api_key": KEY, "batch": events}))


def _cloudevents(events: list[Any]) -> SdkRequest:
    headers = (("content-type", "application/cloudevents-batch+json"), ("x-write-key", TOKEN))
    return SdkRequest("cloudevents", "POST", f"/event?id={ID}", headers, json.dumps(events))


_ENVELOPES: Final = {
    "segment": _segment,
    "snowplow": _snowplow,
    "matomo": _matomo,
    "posthog": _posthog,
    "cloudevents": _cloudevents,
}


def _query(event: dict[str, Any]) -> str:
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in event.items()}
    return urlencode(values, errors="replace").replace("%40", "@")
