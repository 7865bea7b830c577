"""Snowplow's table, pure: the parameters of its tracker protocol to our event.

An event whose `e` is none of the table's is refused, because nothing else says what it means; so is one whose
self-describing JSON is malformed. Snowplow's own pipeline fails both. Numbers that a tracker sends as text stay text.
"""

import re
from typing import Any, Final, NamedTuple, cast

from collector.errors import BadEvent
from collector.ingest.dialects.parameters import shown, take_device
from collector.ingest.dialects.snowplow.self_describing import described_in, entities_in, from_base64url
from collector.ingest.fields.event_id import event_id

_Place = tuple[int, str]
"""Where the value of a parameter goes: one of the five objects below, and the name there."""
_EVENT, _CONTEXT, _EXTRA, _ITEM, _TAKEN = range(5)


class _Kind(NamedTuple):
    """The meaning of a value of `e`."""

    ea: str
    """Empty if the parameters tell it."""
    ec: str
    places: dict[str, _Place]


_EVERYWHERE: Final[dict[str, _Place]] = {
    "eid": (_EVENT, "event_id"),
    "dtm": (_EVENT, "et"),
    "stm": (_EVENT, "sent_at"),
    "uid": (_EVENT, "uid"),
    "vid": (_EXTRA, "session_index"),
    **{name: (_CONTEXT, name) for name in ("url", "page", "refr", "lang", "res", "vp", "ds")},
    **{name: (_CONTEXT, name) for name in ("tz", "cs", "cd", "tv", "tna", "p")},
    **{name: (_TAKEN, name) for name in ("e", "aid", "ip", "ua", "sid", "duid", "nuid", "tnuid", "co", "cx")},
}
_SE: Final[dict[str, _Place]] = {
    "se_ac": (_EVENT, "ea"),
    "se_ca": (_EVENT, "ec"),
    "se_la": (_EXTRA, "label"),
    "se_pr": (_EXTRA, "property"),
    "se_va": (_EXTRA, "value"),
}
_UE: Final[dict[str, _Place]] = {"ue_pr": (_TAKEN, "ue_pr"), "ue_px": (_TAKEN, "ue_px")}
_TI: Final[dict[str, _Place]] = {
    "ti_sk": (_ITEM, "id"),
    "ti_nm": (_ITEM, "name"),
    "ti_pr": (_ITEM, "price"),
    "ti_qu": (_ITEM, "quantity"),
}
_KINDS: Final = {
    "pv": _Kind("view", "page", _EVERYWHERE),
    "pp": _Kind("ping", "page", _EVERYWHERE),
    "se": _Kind("", "", _EVERYWHERE | _SE),
    "ue": _Kind("", "", _EVERYWHERE | _UE),
    "tr": _Kind("transaction", "order", _EVERYWHERE),
    "ti": _Kind("transaction", "item", _EVERYWHERE | _TI),
}
"""By `e`. A parameter without a place keeps its name in `extra`."""
_LONGEST_ID: Final = 64
"""Characters of an id, which is a UUID. With longer ones a record would be longer than its event has paid for."""
_UUID: Final = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def event_of(fields: dict[str, str]) -> dict[str, Any]:
    """Our event of a Snowplow event's parameters. Raises BadEvent."""
    kind = _KINDS.get(fields.get("e", ""))
    if kind is None:
        raise BadEvent(f"e: expected one of {', '.join(_KINDS)}, found {shown(fields.get('e', '')) or 'nothing'}")
    event: dict[str, Any] = {"ea": kind.ea, "ec": kind.ec} if kind.ea else {}
    context: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    item: dict[str, Any] = {}
    taken: dict[str, Any] = {}
    targets = (event, context, extra, item, taken)
    place = kind.places.get
    for name, value in fields.items():
        if value:
            at, own = place(name) or (_EXTRA, name)
            targets[at][own] = value
    _identify(event, extra, taken)
    if taken["e"] == "ue":
        _describe(event, extra, taken)
    entities = _json_of(taken, "co", "cx")
    if entities is not None:
        context["entities"] = entities_in(entities)
    if item:
        event["items"] = [item]
    if context:
        event["context"] = context
    if extra:
        event["extra"] = extra
    return event


def _identify(event: dict[str, Any], extra: dict[str, Any], taken: dict[str, Any]) -> None:
    """Set the ids of the event, of the device and of the session."""
    if "event_id" in event:
        event["event_id"] = event_id(event["event_id"], _LONGEST_ID)
    take_device(("duid", "nuid", "tnuid"), taken, event, extra)
    if session_id := taken.get("sid"):
        extra["session_id"] = session_id
        if _UUID.fullmatch(session_id):
            event["sid"] = int(session_id[:18].replace("-", ""), 16) >> 1  # 63 bits of 16 hexadecimal digits


def _describe(event: dict[str, Any], extra: dict[str, Any], taken: dict[str, Any]) -> None:
    """Set the fields of a self-describing event. Raises BadEvent."""
    described = _json_of(taken, "ue_pr", "ue_px")
    if described is None:
        raise BadEvent("a self-describing event needs ue_pr or ue_px")
    inner = described_in(described)
    event["ec"], event["ea"] = inner.vendor_and_name
    extra["schema"], extra["data"] = inner.schema, inner.data


def _json_of(taken: dict[str, Any], plain: str, coded: str) -> bytes | None:
    """The JSON in a parameter, or in the one that has it as base64url. Raises BadEvent."""
    if plain in taken:
        return cast(str, taken[plain]).encode()
    return from_base64url(taken[coded]) if coded in taken else None
