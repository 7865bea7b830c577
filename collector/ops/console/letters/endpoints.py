"""`GET /api/dead`, `/api/dead/reasons`, `/api/dead/ID` and `/api/dead/ID/raw`."""

from base64 import b64encode
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from collector.ops.console.api.excerpts import EXCERPT_BYTES, excerpt_of, part_response, read_part
from collector.ops.console.api.parameters import LATEST_MS, read_parameters
from collector.ops.console.api.refusals import json_response, refused
from collector.ops.console.letters.letters import LetterQuery, count_reasons, letter_page, read_letter
from collector.ops.console.lookup.event_endpoint import NoParameters
from collector.ops.console.lookup.find_line import FoundLine, Kept, LostLine, find_line, parse_id
from collector.ops.console.lookup.newest_lines import LONGEST_PLACES
from collector.ops.console.rows.redaction import HIDDEN, Redaction
from collector.settings import Settings

_HIDDEN_BODY: Final = msgspec.json.encode(HIDDEN)
_Since = Annotated[int, Meta(ge=0, le=LATEST_MS)]


class ReasonsQuery(Struct, frozen=True):
    """The query of the counts by reason."""

    property: str = ""
    since: _Since = 0


class LettersQuery(Struct, frozen=True):
    """The query of the list."""

    reason: str = ""
    property: str = ""
    since: _Since = 0
    after: Annotated[str, Meta(max_length=LONGEST_PLACES)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


def list_reasons(settings: Settings, redaction: Redaction, request: Request) -> Response:
    """How many letters there are by reason, most first."""
    query = read_parameters(request.scope["query_string"], ReasonsQuery)
    check_property(query.property, redaction)
    found = count_reasons(settings, LetterQuery("", query.property, query.since, bool(redaction.paths)))
    reasons = [
        {"reason": reason, "letters": letters, "of_sink": is_of_sink}
        for (reason, is_of_sink), letters in found.counts.most_common()
    ]
    body = {"reasons": reasons, "letters": found.counts.total(), "back_to_ms": found.back_to_ms}
    return json_response(body)


def list_letters(settings: Settings, redaction: Redaction, request: Request) -> Response:
    """A page of letters, newest first."""
    query = read_parameters(request.scope["query_string"], LettersQuery)
    check_property(query.property, redaction)
    letter_query = LetterQuery(query.reason, query.property, query.since, bool(redaction.paths))
    page = letter_page(settings, letter_query, query.after, query.limit)
    letters = [letter._replace(property=_property(letter.property, redaction))._asdict() for letter in page.letters]
    return json_response({"letters": letters, "next": page.next})


def show_letter(settings: Settings, redaction: Redaction, request: Request) -> Response:
    """The letter of the id in the path."""
    read_parameters(request.scope["query_string"], NoParameters)
    found = _find(settings, request)
    letter = read_letter(found)
    record, body = letter.record, redaction.content(letter.body, letter.record.dialect)
    shown: dict[str, Any] = msgspec.json.decode(redaction.dead_letter(found.line))
    encoding, text, truncated_at = _shown_body(body)
    members = {
        "id": record.id,
        "received_ms": record.received_at,
        "property": _property(f"{record.portal_id}/{record.prop_id}", redaction),
        "dialect": record.dialect,
        "reason": LetterQuery(is_hiding=bool(redaction.paths)).shown_reason(record),
        "code": record.code,
        "errors": [{"field": error.field, "message": error.message} for error in record.errors],
        "sink": record.sink,
        **{name: shown.get(name) for name in ("ip", "user_agent", "referer")},
        "bytes": len(body),
        "encoding": encoding,
        "body": text,
        "truncated_at": truncated_at,
    }
    return json_response(members)


def send_body(settings: Settings, redaction: Redaction, request: Request) -> Response:
    """A part of the bytes that the client sent."""
    part = read_part(request)
    letter = read_letter(_find(settings, request))
    body = redaction.content(letter.body, letter.record.dialect)
    return part_response(part, body, f"{letter.record.id}.bin")


def check_property(value: str, redaction: Redaction) -> None:
    """Raise Rejected for a filter by property if that is hidden."""
    if value and _is_property_hidden(redaction):
        raise refused("redacted", "property is hidden by admin.redact; a filter on it would give its values away")


def _find(settings: Settings, request: Request) -> FoundLine:
    letter_id = parse_id(request.path_params["id"])
    found = find_line(settings.dead_letters.dir, letter_id, Kept("dead letter", settings.dead_letters.retain_hours))
    if isinstance(found, LostLine):
        command = f"`wal verify {found.folder.path}` tells more"
        raise refused("unreadable", f"{found.folder.path}: {found.message or 'no block has it'}; {command}")
    return found


def _shown_body(body: bytes) -> tuple[str, str, int | None]:
    """The encoding of a body's first part, its text, and the bytes in it if there are more."""
    if body == _HIDDEN_BODY:
        return "utf-8", HIDDEN, None
    try:
        body.decode()
    except UnicodeDecodeError:
        is_long = len(body) > EXCERPT_BYTES
        return "base64", b64encode(body[:EXCERPT_BYTES]).decode(), EXCERPT_BYTES if is_long else None
    excerpt = excerpt_of(body)
    return "json" if _is_json(body) else "utf-8", excerpt.text, excerpt.truncated_at


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _property(value: str, redaction: Redaction) -> str:
    return HIDDEN if _is_property_hidden(redaction) else value


def _is_property_hidden(redaction: Redaction) -> bool:
    return redaction.hides("portal_id") or redaction.hides("prop_id")
