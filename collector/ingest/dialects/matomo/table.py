"""Matomo's table, pure: the parameters of its tracking API to our event. JSON that can't be read stays text."""

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from collector.errors import UNDECODABLE
from collector.ingest.dialects.parameters import take_device

_Place = tuple[int, str]
"""Where the value of a parameter goes: one of the five objects below, and the name there."""
_EVENT, _CONTEXT, _DIMS, _EXTRA, _TAKEN = range(5)
_PLACES: Final[dict[str, _Place]] = {
    "uid": (_EVENT, "uid"),
    "cdt": (_EVENT, "et"),
    **{name: (_CONTEXT, name) for name in ("url", "urlref", "action_name", "res", "lang", "pv_id", "uadata")},
    **{name: (_DIMS, name) for name in ("cvar", "_cvar")},
    **{name: (_TAKEN, name) for name in ("cid", "_id", "idsite", "rec", "token_auth", "cip", "ua")},
}
"""A parameter without a place keeps its name: in `dims` if it is `dimensionN`, else in `extra`."""
JSON_NAMES: Final = frozenset({"cvar", "_cvar", "uadata", "ec_items"})
"""Parameters whose text is JSON."""
_BY_PARAMETER: Final = {
    "search": ("search", "site"),
    "link": ("click", "outlink"),
    "download": ("click", "download"),
    "ping": ("ping", "page"),
    "c_n": ("impression", "content"),
}
"""`ea` and `ec` by the first of these parameters that an event has, if it is neither a custom event nor a goal."""
_ITEM: Final = ("id", "name", "category", "price", "quantity")
"""The names of the elements of an item of `ec_items`."""
_DIMENSION: Final = re.compile("dimension[0-9]+")
_SECONDS_DIGITS: Final = 11
_MOST_ITEMS: Final = 1000
_Element = str | int | float | bool | list[str] | None
"""A category may be an array."""
_items_in: Final = msgspec.json.Decoder(list[Annotated[list[_Element], Meta(max_length=len(_ITEM))]]).decode
_object_in: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def event_of(fields: dict[str, str], *, is_compact: bool = False) -> dict[str, Any]:
    """Our event of a Matomo request's parameters.

    `is_compact`: with all of `extra` as one query, which takes fewer bytes, and without `items`.
    """
    event: dict[str, Any] = {}
    context: dict[str, Any] = {}
    dims: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    taken: dict[str, Any] = {}
    targets = (event, context, dims, extra, taken)
    for name, value in fields.items():
        if value:
            at, own = _PLACES.get(name) or (_DIMS if _DIMENSION.fullmatch(name) else _EXTRA, name)
            targets[at][own] = value
    _classify(event, extra)
    _identify(event, extra, taken)
    for values in (context, dims):
        for name in values.keys() & JSON_NAMES:
            values[name] = _json_or_text(values[name])
    if not is_compact and "ec_items" in extra and (items := _items(extra["ec_items"])):
        event["items"] = items
        del extra["ec_items"]
    if is_compact and extra:
        extra = {"query": _query_of(extra)}
    event |= {name: value for name, value in (("dims", dims), ("context", context), ("extra", extra)) if value}
    return event


def _classify(event: dict[str, Any], extra: dict[str, Any]) -> None:
    """Set `ea` and `ec`. A custom event without one of them stays without it."""
    goal = extra.get("idgoal")
    if "e_c" in extra or "e_a" in extra:
        event |= {ours: extra[name] for ours, name in (("ea", "e_a"), ("ec", "e_c")) if name in extra}
        used: tuple[str, ...] = ("e_c", "e_a")
    elif goal == "0":
        event["ea"], event["ec"] = ("purchase", "order") if "ec_id" in extra else ("update", "cart")
        used = ("idgoal",)
    elif goal:
        event["ea"], event["ec"] = "goal", goal
        used = ("idgoal",)
    else:
        found = next((name for name in _BY_PARAMETER if name in extra), "")
        event["ea"], event["ec"] = _BY_PARAMETER.get(found, ("view", "page"))
        used = ("ping",) if found == "ping" else ()
    for name in used:
        extra.pop(name, None)


def _identify(event: dict[str, Any], extra: dict[str, Any], taken: dict[str, Any]) -> None:
    """Set the device, and turn a time in seconds into one of ours."""
    take_device(("cid", "_id"), taken, event, extra)
    time = event.get("et", "")
    if len(time) <= _SECONDS_DIGITS and time.isascii() and time.isdigit():
        event["et"] = 1000 * int(time)


def _items(text: str) -> list[dict[str, _Element]]:
    """The items of an order, without placeholders for absent values. Empty if one can't be read."""
    if text.count("[") > _MOST_ITEMS:  # they could be millions
        return []
    try:
        items = _items_in(text)
    except UNDECODABLE:
        return []
    return [
        {
            name: value
            for name, value in zip(_ITEM, item, strict=False)
            if value not in ("", None) and value is not False
        }
        for item in items
    ]


def _json_or_text(text: str) -> Raw | str:
    """A JSON object as such."""
    try:
        _object_in(text)
    except UNDECODABLE:
        return text
    return Raw(text.encode())


def _query_of(values: dict[str, Any]) -> str:
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in values.items()])


def _quoted(text: str) -> str:
    """Escape the characters that would end a value in a query or change it."""
    return text.replace("%", "%25").replace("&", "%26").replace("=", "%3D").replace("+", "%2B")
