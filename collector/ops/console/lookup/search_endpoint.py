"""`GET /api/search`: events and dead letters that match filters, newest first, a bit of the log each call."""

import os
import time
from contextlib import closing
from typing import Annotated, Final

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from collector.ops.console.api.parameters import LATEST_MS, read_parameters
from collector.ops.console.api.refusals import json_response
from collector.ops.console.lookup.log_backwards import LogLine
from collector.ops.console.lookup.newest_lines import LONGEST_PLACES, DamagedRange, NewestLines
from collector.ops.console.rows.decoding import row_of_letter, row_of_record
from collector.ops.console.rows.filters import FilterParameters, Filters, filters_of
from collector.ops.console.rows.redaction import Redaction
from collector.ops.console.rows.rows import DEAD, STORED, BlockPlace, EventRow
from collector.settings import Settings
from wal.files import Files
from wal.folder import LogFolder, logs_at

_CPU_SECONDS: Final = 0.05


class Search(FilterParameters, frozen=True):
    """The query: filters, and where to begin or to go on."""

    before: Annotated[str, Meta(max_length=LONGEST_PLACES)] | None = None
    before_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


def search(settings: Settings, redaction: Redaction, request: Request) -> Response:
    """The matching rows of the next part of the logs, and where to go on."""
    query = read_parameters(request.scope["query_string"], Search)
    filters = filters_of(query, redaction.hides)
    with closing(NewestLines(_sources(settings, query.kind), query.before, query.before_ms)) as lines:
        left_before = lines.left_bytes
        rows = _matching(lines, filters, redaction, query.limit)
        body = {
            "rows": [row.shown() for row in rows],
            "next": lines.places,
            "scanned_bytes": max(0, left_before - lines.left_bytes),
            "left_bytes": lines.left_bytes,
            "back_to_ms": lines.back_to_ms,
            "damaged": list(map(_damaged, lines.damaged)),
        }
    return json_response(body)


def _damaged(found: DamagedRange) -> dict[str, object]:
    kind, _, shard = found.source.partition("/")
    return {
        "kind": kind,
        "shard": shard,
        "log": found.log,
        "first_sequence": found.first,
        "last_sequence": found.end - 1,
        "lost": found.end - found.first,
    }


def _sources(settings: Settings, only_kind: str | None) -> dict[str, LogFolder]:
    """The logs that may hold rows of a kind, by name. Refusals and duplicates left no line."""
    directories = {STORED: settings.log.dir, DEAD: settings.dead_letters.dir}
    return {
        f"{kind}/{os.path.basename(folder.path)}": folder
        for kind, directory in directories.items()
        if only_kind in (None, kind)
        for folder in logs_at(Files(), directory)
    }


def _matching(lines: NewestLines, filters: Filters, redaction: Redaction, limit: int) -> list[EventRow]:
    rows: list[EventRow] = []
    deadline = time.thread_time() + _CPU_SECONDS
    for line in lines:
        if line and (row := _row(line, filters, redaction)):
            rows.append(row)
        if len(rows) == limit or time.thread_time() > deadline:
            break
    return rows


def _row(line: LogLine, filters: Filters, redaction: Redaction) -> EventRow | None:
    """The row of a line if it matches. The text is searched in what may be shown, so that it finds nothing hidden."""
    is_letter = line.source.startswith(DEAD)
    shown = redaction.dead_letter(line.line) if is_letter else redaction.record(line.line)
    if filters.needles and not filters.is_in(shown):
        return None
    place = BlockPlace(line.path, line.header.log_id.decode(), line.header.timestamp_ms)
    row = (row_of_letter if is_letter else row_of_record)(shown, place, line.sequence, line.start)
    return next(iter(filters.select([row])), None) if row else None
