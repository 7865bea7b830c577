"""The routes by which the console looks things up in the files of this node, and those of its jobs."""

import functools
from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.ops.console.api.unreadable import reading_files
from collector.ops.console.jobs.endpoints import (
    JobDesk,
    list_jobs,
    preview_redrive,
    preview_replay,
    start_job,
    stop_job,
)
from collector.ops.console.letters.endpoints import list_letters, list_reasons, send_body, show_letter
from collector.ops.console.lookup.event_endpoint import send_record, show_event
from collector.ops.console.lookup.search_endpoint import search
from collector.ops.console.node.node_endpoint import show_node, show_snippet
from collector.ops.console.node.shard_endpoints import Serving, list_segments, list_shards

_Endpoint = Callable[..., Response]


def lookup_routes(desk: JobDesk, serving: Serving) -> tuple[Route, ...]:
    """The routes of look-ups. `serving` gives the shard of each worker. What only reads runs in a thread."""
    settings, redaction = desk.settings, desk.redaction
    return (
        Route("/api/event/{id}", _reading(show_event, settings, redaction)),
        Route("/api/event/{id}/raw", _reading(send_record, settings, redaction)),
        Route("/api/search", _reading(search, settings, redaction)),
        Route("/api/shards", _reading(list_shards, settings, serving)),
        Route("/api/shards/{shard}/segments", _reading(list_segments, settings, serving)),
        Route("/api/dead", _reading(list_letters, settings, redaction)),
        Route("/api/dead/reasons", _reading(list_reasons, settings, redaction)),
        Route("/api/dead/{id}", _reading(show_letter, settings, redaction)),
        Route("/api/dead/{id}/raw", _reading(send_body, settings, redaction)),
        Route("/api/node", _reading(show_node, settings)),
        Route("/api/snippet", _reading(show_snippet, settings)),
        Route("/api/redrive/preview", partial(preview_redrive, desk), methods=["POST"]),
        Route("/api/replay/preview", partial(preview_replay, desk), methods=["POST"]),
        Route("/api/jobs", _reading(list_jobs, desk), methods=["GET"]),
        Route("/api/jobs", partial(start_job, desk), methods=["POST"]),
        Route("/api/jobs/{id}", partial(stop_job, desk), methods=["DELETE"]),
    )


def _reading(endpoint: _Endpoint, *known: object) -> _Endpoint:
    """An endpoint that reads files."""

    @functools.wraps(endpoint)
    def read(request: Request) -> Response:
        with reading_files():
            return endpoint(*known, request)

    return read
