"""The routes of the console. `collector.server.admin_app` serves them behind the guard."""

import socket
from typing import NamedTuple

from starlette.routing import Route

from collector.ops.console.access import Access
from collector.ops.console.live import Live
from collector.ops.console.messages import Sources
from collector.ops.console.page_files import load_page, page_routes
from collector.ops.console.redaction import Redaction
from collector.ops.console.session_endpoint import SessionEndpoint
from collector.ops.console.stream import Streams
from collector.ops.console.tail import Tail
from collector.ops.console.try_endpoint import TryEndpoint
from collector.settings import Settings
from wal import __version__


class ConsoleRoutes(NamedTuple):
    """The routes by who may use them."""

    open: tuple[Route, ...]
    """For everybody: the page, which holds nothing of this node, and the log-in."""
    guarded: tuple[Route, ...]
    """For who needs no log-in, or has one."""


def console_routes(settings: Settings, access: Access) -> ConsoleRoutes:
    """All routes of the console."""
    return ConsoleRoutes(
        (*page_routes(load_page()), SessionEndpoint(settings.admin, access).route()),
        (TryEndpoint(settings).route(), Streams(_sources(settings)).route()),
    )


def _sources(settings: Settings) -> Sources:
    admin, redaction = settings.admin, Redaction(settings.admin.redact)
    about = {
        "version": __version__,
        "node": socket.gethostname(),
        "actions": admin.allow_actions,
        "redacted": admin.redact,
    }
    live = Live(Tail(settings.log.dir, settings.dead_letters.dir, redaction), redaction, list)
    return Sources(live, lambda: about, dict, list)
