"""`GET /api/shards` and `/api/shards/SHARD/segments`."""

import os
from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from collector.ops.console.api.parameters import read_parameters
from collector.ops.console.api.refusals import json_response, refused
from collector.ops.console.lookup.event_endpoint import NoParameters
from collector.ops.console.node.shards import segments, shards
from collector.ops.status import is_held
from collector.settings import Settings
from wal.files import Files
from wal.folder import logs_at

Serving = Callable[[], Sequence[str | None]]
"""Returns the shard of each worker, by its place; None where it has none yet."""


class SegmentPage(Struct, frozen=True):
    """The query: segments with a number below `after`, newest first."""

    after: Annotated[int, Meta(ge=0, le=10**10)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


def list_shards(settings: Settings, serving: Serving, request: Request) -> Response:
    """Every shard of the node."""
    read_parameters(request.scope["query_string"], NoParameters)
    return json_response({"shards": shards(settings, serving())})


def list_segments(settings: Settings, serving: Serving, request: Request) -> Response:
    """A page of the segments of a shard. The name of the shard is compared, and is never a path."""
    page = read_parameters(request.scope["query_string"], SegmentPage)
    name = request.path_params["shard"]
    folder = next(
        (folder for folder in logs_at(Files(), settings.log.dir) if os.path.basename(folder.path) == name), None
    )
    if folder is None:
        raise refused("not_found", "there is no such shard")
    names = [segment for segment in reversed(folder.segments()) if page.after is None or segment.number < page.after]
    shown = names[: page.limit]
    following = shown[-1].number if len(names) > page.limit else None
    found = segments(folder, shown, is_held=is_held(folder, serving()))
    return json_response({"segments": found, "next": following})
