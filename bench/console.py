"""The console's live stream alone, as an ASGI application: what the admin process does for a viewer.

The folder that `CONSOLE_FOLDER` names has the shards in `log` and the dead letters in `dead`.
"""

import os

from starlette.applications import Starlette
from starlette.routing import Route

from bench.servers import CONSOLE_FOLDER
from collector.ops.console.live import Live
from collector.ops.console.messages import Sources
from collector.ops.console.stream import Streams
from collector.ops.console.tail import Tail


class HidesNothing:
    """As without `admin.redact`."""

    def record(self, line: bytes) -> bytes:
        """The line."""
        return line

    dead_letter = record

    def hides(self, member: str) -> bool:  # noqa: ARG002
        """Nothing."""
        return False


def app() -> Starlette:
    """The application."""
    folder = os.environ[CONSOLE_FOLDER]
    live = Live(Tail(f"{folder}/log", f"{folder}/dead", HidesNothing()), HidesNothing(), list)
    return Starlette(routes=[Route("/api/stream", Streams(Sources(live, dict, dict, list)))])
