"""One event of PostHog's SDKs to one of ours, pure. The table is at the head."""

import re
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from collector.errors import UNDECODABLE, BadEvent, Fault, FieldCode, Refusal, TooLarge
from collector.ingest.dialects.dialect import NO_CREDENTIALS, Credentials, DialectEvent
from collector.ingest.dialects.posthog.body import first_of
from collector.ingest.fields.event_id import event_id
from collector.settings.tables import LARGEST_EVENT

_NAMED: Final = {
    "$pageview": ("view", "page"),
    "$pageleave": ("leave", "page"),
    "$screen": ("view", "screen"),
    "$identify": ("identify", "user"),
    "$create_alias": ("alias", "user"),
    "$groupidentify": ("group", "group"),
    "$set": ("set", "user"),
}
"""`ea` and `ec` by the name of the event. All others keep their name as `ea`."""
_OTHERS: Final = "track"
"""The `ec` of all others."""
_SERVERS: Final = frozenset(
    b'"posthog-%b"' % name.encode()
    for name in ("python", "node", "go", "php", "ruby", "java", "server", "dotnet", "elixir", "rs", "edge", "convex")
)
"""The values of `$lib` that name a server's SDK. `$is_server`, where it is sent, says it better."""


class Shared(NamedTuple):
    """The members that the events of a request share."""

    key: Raw = Raw()
    sent_at: Raw = Raw()
    is_line: bool = True
    """Whether no event has a line break."""
    unnamed: str = ""
    """The name of events without one; empty if each must have one."""


_RENAMED: Final = {"set": "$set", "set_once": "$set_once", "engaged": "$distinct_id", "engaged_token": "$token"}
"""Members whose names are none of Python; the last two are those of `/engage`."""


class _Sent(Struct, gc=False, rename=_RENAMED.get):
    event: str | UnsetType = UNSET
    properties: dict[str, Raw] | None = None
    distinct_id: Raw = Raw()
    engaged: Raw = Raw()
    uuid: Raw = Raw()
    timestamp: Raw = Raw()
    set: Raw = Raw()
    set_once: Raw = Raw()
    api_key: Raw = Raw()
    token: Raw = Raw()
    engaged_token: Raw = Raw()
    sent_at: Raw = Raw()
    library: Raw = Raw()


class _Keys(Struct, gc=False):
    api_key: Raw = Raw()
    token: Raw = Raw()
    properties: Raw = Raw()


_PAID_BYTES: Final = 64
"""Bytes by which every event may exceed the bytes sent for it. All but `sent_at` takes less than 40."""
_NOTHING: Final = Raw()
_NULL: Final = Raw(b"null")
_ABSENT: Final = frozenset((b"", b"null"))
_NO_TEXT: Final = frozenset((b"", b"null", b'""'))
_COOKIELESS: Final = Raw(b'"$posthog_cookieless"')
"""The `distinct_id` of all visitors who declined cookies: it names nobody."""
_UUID: Final = re.compile(rb'"([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"')
_SECONDS: Final = re.compile(rb"[0-9]{1,10}(?:\.[0-9]{1,9})?")
_SENT_AT: Final = b',"sent_at":%b}'
_decode: Final = msgspec.json.Decoder(_Sent).decode
_decode_keys: Final = msgspec.json.Decoder(_Keys).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


def read_event(raw: bytes, shared: Shared, free: int) -> DialectEvent:
    """The event in `raw`, or its refusal. `free`: bytes by which it may be longer, in addition to 64."""
    if len(raw) > LARGEST_EVENT:
        refusal = Refusal(TooLarge.code, f"the event is over the limit of {LARGEST_EVENT} bytes")
        return _refused(raw, shared.key, refusal)
    try:
        return _event(raw, shared, free)
    except msgspec.ValidationError:
        return _refused(raw, shared.key or _key_in(raw), _refusal(raw, shared))
    except UNDECODABLE as error:
        return _refused(raw, shared.key, Refusal(BadEvent.code, f"the event is not JSON: {error}"))


def _event(raw: bytes, shared: Shared, free: int) -> DialectEvent:
    sent = _decode(raw if shared.is_line else msgspec.json.format(raw, indent=-1))
    name = sent.event if sent.event is not UNSET else shared.unnamed
    if sent.event is UNSET and not name:
        raise msgspec.ValidationError
    properties = sent.properties or {}
    ea, ec = _NAMED.get(name) or (name, _OTHERS)
    event: dict[str, object] = {"ea": ea, "ec": ec}
    key = _take_key(sent, properties, shared.key)
    _add_people(event, sent, properties)
    _add_id_and_time(event, sent, properties)
    ip = _text(properties.pop("$ip", _NOTHING))
    agents = _text(properties.pop("$raw_user_agent", _NOTHING)), _text(properties.pop("$user_agent", _NOTHING))
    is_s2s = _is_server(properties, sent.library)
    _add_objects(event, sent, properties)
    line = _with_sent_at(_encode(event), sent.sent_at or shared.sent_at, len(raw) + _PAID_BYTES + free)
    return DialectEvent(raw, line, None, is_s2s, ip, agents[0] or agents[1], _credentials(key))


def _take_key(sent: _Sent, properties: dict[str, Raw], shared: Raw) -> Raw:
    """The key of an event. `token` of the properties is one too, unless it names another property: then it is data."""
    key = shared or first_of(sent.api_key, sent.token, sent.engaged_token)
    token = properties.get("token", _NOTHING)
    if not token:
        return key
    if not key or key == token:
        return properties.pop("token")
    if _credentials(key).property_id == _credentials(token).property_id:  # one of them may have the secret
        return max(key, properties.pop("token"), key=len)
    return key


def _add_people(event: dict[str, object], sent: _Sent, properties: dict[str, Raw]) -> None:
    """Session, device and user. While a visitor is anonymous, the id of the user is that of the device."""
    session = properties.get("$session_id")
    if session is not None and (match := _UUID.fullmatch(bytes(session))):
        event["sid"] = int(b"%b%b%b" % match.groups(), 16) >> 1
        del properties["$session_id"]
    device = properties.get("$device_id", _NOTHING)
    if bytes(device) not in _NO_TEXT:
        event["aid"] = properties.pop("$device_id")
    user = first_of(sent.distinct_id, sent.engaged, properties.pop("distinct_id", _NOTHING))
    if user and user not in (device, _COOKIELESS):
        event["uid"] = user


def _add_id_and_time(event: dict[str, object], sent: _Sent, properties: dict[str, Raw]) -> None:
    """`event_id` and `et`; older posthog-js tell the time only in `$time`, in seconds."""
    if text := _text(sent.uuid):
        event["event_id"] = event_id(text)
    elif text := _text(properties.get("$insert_id", _NOTHING)):
        event["event_id"] = event_id(text)
        del properties["$insert_id"]
    if bytes(sent.timestamp) not in _ABSENT:
        event["et"] = sent.timestamp
    elif _SECONDS.fullmatch(seconds := bytes(properties.get("$time", _NOTHING))):
        event["et"] = round(float(seconds) * 1000)
        del properties["$time"]


def _add_objects(event: dict[str, object], sent: _Sent, properties: dict[str, Raw]) -> None:
    """`dims`, `context` and `extra`, from the members that the other fields did not take."""
    users = sent.set or properties.get("$set", _NOTHING)
    properties.pop("$set", None)
    if bytes(users) not in (b"", b"null", b"{}"):
        event["dims"] = {"users": users}
    context: dict[str, Raw] = {}
    extra: dict[str, Raw] = {}
    for name, value in properties.items():
        if name[:1] != "$":
            extra[name] = value
        elif value != _NULL:
            context[name] = value
    if bytes(sent.set_once) not in _ABSENT:
        context["$set_once"] = sent.set_once
    if context:
        event["context"] = context
    if extra:
        event["extra"] = extra


def _is_server(properties: dict[str, Raw], library: Raw) -> bool:
    value = bytes(properties.get("$is_server", _NOTHING))
    if value in (b"true", b"false"):
        return value == b"true"
    return bytes(properties.get("$lib", library)) in _SERVERS


def _with_sent_at(line: bytes, sent_at: Raw, room: int) -> bytes:
    """The event with the time of the request, unless it is then longer than the bytes sent allow."""
    value = bytes(sent_at)
    if value in _ABSENT or len(line) + len(value) + len(_SENT_AT) - 3 > room:
        return line
    return line[:-1] + _SENT_AT % value


def _text(value: Raw) -> str | None:
    return _decode_text(value) if bytes(value)[:1] == b'"' else None


def _credentials(key: Raw) -> Credentials:
    return Credentials.of(_text(key) or "") if key else NO_CREDENTIALS


def _refused(raw: bytes, key: Raw, refusal: Refusal) -> DialectEvent:
    """A refused event of the property that the key names. A dead letter must not hold the secret in the key."""
    credentials = _credentials(key)
    if credentials.secret:
        raw = raw.replace(f":{credentials.secret}".encode(), b"")
    return DialectEvent(raw, b"", refusal, credentials=credentials)


def _key_in(raw: bytes) -> Raw:
    """The key in a refused event; empty if there is none."""
    try:
        sent = _decode_keys(raw)
        properties = _decode_keys(sent.properties) if bytes(sent.properties)[:1] == b"{" else sent
    except msgspec.ValidationError:
        return _NOTHING
    return first_of(sent.api_key, sent.token, properties.token)


def _refusal(raw: bytes, shared: Shared) -> Refusal:
    """The refusal of an event that is not an object, or whose name or properties are wrong."""
    try:
        members = _decode_members(raw)
    except msgspec.ValidationError:
        return Refusal(BadEvent.code, "expected an event, a JSON object")
    faults = []
    if "event" not in members:
        faults += [Fault("event", FieldCode.MISSING, "missing")] if not shared.unnamed else []
    elif bytes(members["event"])[:1] != b'"':
        faults.append(Fault("event", FieldCode.WRONG_TYPE, "expected a string, the name of the event"))
    if bytes(members.get("properties", _NULL))[:1] not in (b"{", b"n"):
        faults.append(Fault("properties", FieldCode.WRONG_TYPE, "expected an object"))
    return Refusal(BadEvent.code, "the event failed validation", tuple(faults))
