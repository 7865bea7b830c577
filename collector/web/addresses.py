"""The address of this node as its settings tell it, and the tags that lead pages to it."""

from typing import Final

from collector.settings import EVENT_PATHS, PropertySettings, ServerSettings
from collector.web.files import load_script
from collector.web.pages import script_paths
from collector.web.snippet import Snippet

_ANY_HOST: Final = ("0.0.0.0", "::")  # noqa: S104  not bound here


def own_url(server: ServerSettings) -> str:
    """The node's address as its own machine has it."""
    host = "localhost" if server.host in _ANY_HOST else f"[{server.host}]" if ":" in server.host else server.host
    return f"{'https' if server.tls_certificate else 'http'}://{host}:{server.port}"


def snippet_of(
    server: ServerSettings, prop: PropertySettings, url: str, nonce: str | None = None, *, is_inline: bool = True
) -> Snippet:
    """The snippet for pages of a property, which reach the node at `url`."""
    script, alias, base = load_script(), server.alias, url.rstrip("/")
    return Snippet(
        base + (alias or EVENT_PATHS[0]),
        base + script.hashed(script_paths(alias)[-1]),
        script.integrity,
        prop.public_id,
        nonce,
        is_inline=is_inline,
    )
