"""`GET /api/node`, what this node takes and ships, and `GET /api/snippet`, the tags for the pages of a property."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from collector.ops.console.api.parameters import read_parameters
from collector.ops.console.api.refusals import json_response, refused
from collector.ops.console.lookup.event_endpoint import NoParameters
from collector.settings import EVENT_PATHS, Settings
from collector.web.addresses import own_url, snippet_of
from collector.web.advice import GENERAL_ADVICE, advice

_MOST_PROPERTIES: Final = 1000
_RESPONSE_TYPES: Final = ("json", "javascript", "pixel", "redirect")
"""Of `/event`. A dialect responds as its SDKs expect, so that there is nothing to choose."""


class SnippetQuery(Struct, frozen=True):
    """The query: PORTAL/PROP."""

    property: Annotated[str, Meta(max_length=40)]


def show_node(settings: Settings, request: Request) -> Response:
    """The properties, dialects and sinks of the settings."""
    read_parameters(request.scope["query_string"], NoParameters)
    shown = settings.property[:_MOST_PROPERTIES]
    body: dict[str, Any] = {
        "event_url": own_url(settings.server) + EVENT_PATHS[0],
        "kept_hours": settings.log.retain_hours,
        "properties": [
            {"property": f"{prop.portal_id}/{prop.prop_id}", "id": prop.public_id, "source": prop.source}
            for prop in shown
        ],
        "more_properties": len(settings.property) - len(shown),
        "dialects": [
            {"name": "event", "types": _RESPONSE_TYPES},
            *({"name": name, "types": _RESPONSE_TYPES[:1]} for name in settings.server.dialects),
        ],
        "sinks": [sink.name for sink in settings.sink],
    }
    return json_response(body)


def show_snippet(settings: Settings, request: Request) -> Response:
    """The tags, what the page's policy must allow, and what is wrong with the property."""
    ids = read_parameters(request.scope["query_string"], SnippetQuery).property
    prop = next((prop for prop in settings.property if ids == f"{prop.portal_id}/{prop.prop_id}"), None)
    if prop is None:
        raise refused("not_found", "no property of the settings has these ids")
    url = own_url(settings.server)
    snippet = snippet_of(settings.server, prop, url)
    notes = [
        *advice(prop),
        f"{url} is the address by server.host, and tags and policy are for it alone: for the one by which pages reach "
        f"the node, run collector snippet --property {prop.public_id} --url URL",
        *GENERAL_ADVICE,
        *snippet.policy_notes(),
    ]
    return json_response({"tags": snippet.tags(), "notes": notes})
