"""`GET /api/event/ID` and `/api/event/ID/raw`: one event, its place in the log, and its fate at each sink."""

import os
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from collector.ops.console.api.excerpts import excerpt_of, part_response, read_part
from collector.ops.console.api.parameters import read_parameters
from collector.ops.console.api.refusals import json_response, refused
from collector.ops.console.lookup.curl import curl_command
from collector.ops.console.lookup.fates import SinkFate, sink_fates
from collector.ops.console.lookup.find_line import FoundLine, Kept, LostLine, find_line, parse_id
from collector.ops.console.rows.redaction import Redaction
from collector.ops.event_property import property_of
from collector.settings import EVENT_PATHS, PropertySettings, Settings
from collector.web.addresses import own_url


class NoParameters(Struct, frozen=True):
    """The query of an endpoint that has none."""


def show_event(settings: Settings, redaction: Redaction, request: Request) -> Response:
    """The event of the id in the path."""
    read_parameters(request.scope["query_string"], NoParameters)
    found = _find(settings, request)
    if isinstance(found, LostLine):
        return json_response(_lost(found))
    shown = redaction.record(found.line)
    excerpt = excerpt_of(shown)
    is_whole = excerpt.truncated_at is None and shown == found.line
    body = {
        "id": _id_of(found),
        "place": _place(found, found.block.header.segment, found.offset, found.block.header.timestamp_ms),
        "record": excerpt.text,
        "bytes": len(shown),
        "truncated_at": excerpt.truncated_at,
        "damage": None,
        "sinks": _shown_fates(sink_fates(settings, found), redaction),
        "curl": _curl(settings, found.line) if is_whole else None,
    }
    return json_response(body)


def send_record(settings: Settings, redaction: Redaction, request: Request) -> Response:
    """A part of the record's bytes."""
    part = read_part(request)
    found = _find(settings, request)
    if isinstance(found, LostLine):
        raise refused("gone", found.message)
    return part_response(part, redaction.record(found.line), f"{_id_of(found)}.json")


def _find(settings: Settings, request: Request) -> FoundLine | LostLine:
    event_id = parse_id(request.path_params["id"])
    return find_line(settings.log.dir, event_id, Kept("event", settings.log.retain_hours))


def _lost(found: LostLine) -> dict[str, Any]:
    return {
        "id": _id_of(found),
        "place": _place(found, found.place.segment, found.place.offset, None),
        "record": "",
        "bytes": 0,
        "truncated_at": None,
        "damage": found.message or "no block of the log has it, although later ones are there",
        "sinks": (),
        "curl": None,
    }


def _place(found: FoundLine | LostLine, segment: int, offset: int, committed_ms: int | None) -> dict[str, Any]:
    return {
        "shard": os.path.basename(found.folder.path),
        "segment": segment,
        "offset": offset,
        "sequence": found.sequence,
        "committed_ms": committed_ms,
    }


def _id_of(found: FoundLine | LostLine) -> str:
    return f"{found.folder.log_id.decode()}-{found.sequence}"


def _shown_fates(fates: list[SinkFate], redaction: Redaction) -> list[SinkFate]:
    """A sink's reason may quote the event, so that it is not shown where something is hidden."""
    if not redaction.paths:
        return fates
    return [SinkFate(fate.name, fate.state, "hidden by admin.redact" if fate.reason else "") for fate in fates]


def _curl(settings: Settings, line: bytes) -> str | None:
    return curl_command(own_url(settings.server) + EVENT_PATHS[0], line, _property_of(settings, line))


def _property_of(settings: Settings, line: bytes) -> PropertySettings | None:
    found = property_of(line)
    ids = found.portal_id, found.prop_id
    return next((prop for prop in settings.property if (prop.portal_id, prop.prop_id) == ids), None)
