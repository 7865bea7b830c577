"""The console's live stream alone, as an ASGI application: what the admin process does for a viewer.

The folder that `CONSOLE_FOLDER` names has the shards in `log` and the dead letters in `dead`.
"""

import os

from starlette.applications import Starlette

from bench.servers import CONSOLE_FOLDER
from collector.ops.console.live.live import Live
from collector.ops.console.live.messages import Sources
from collector.ops.console.live.stream import Streams
from collector.ops.console.live.tail import Tail
from collector.ops.console.rows.redaction import Redaction


def app() -> Starlette:
    """The application."""
    folder = os.environ[CONSOLE_FOLDER]
    redaction = Redaction(())
    live = Live(Tail(f"{folder}/log", f"{folder}/dead", redaction), redaction, list)
    return Starlette(routes=[Streams(Sources(live, dict, dict, list), lambda _: True).route()])
