"""The routes of the console. `collector.server.admin_app` serves them behind the guard."""

import os
from functools import partial
from typing import Final, NamedTuple

from starlette.routing import Route

from collector.ops.console.access.access import Access
from collector.ops.console.access.guard import is_let_in
from collector.ops.console.access.session_endpoint import SessionEndpoint, about_node
from collector.ops.console.jobs.endpoints import JobDesk
from collector.ops.console.jobs.jobs import Jobs
from collector.ops.console.jobs.recent_jobs import RecentJobs
from collector.ops.console.live.live import Live
from collector.ops.console.live.messages import Sources
from collector.ops.console.live.stream import Streams
from collector.ops.console.live.tail import Tail
from collector.ops.console.lookup_routes import lookup_routes
from collector.ops.console.node.shard_endpoints import Serving
from collector.ops.console.page_files import load_page, page_routes
from collector.ops.console.rows.redaction import Redaction
from collector.ops.console.try_event.endpoint import TryEndpoint
from collector.ops.console.watch import Watch
from collector.ops.console.watch_endpoints import WatchEndpoints
from collector.settings import Settings

_JOBS: Final = "jobs"
"""The folder of the jobs, in `admin.dir`."""


class ConsoleRoutes(NamedTuple):
    """The routes by who may use them."""

    open: tuple[Route, ...]
    """For everybody: the page, which holds nothing of this node, and the log-in."""
    guarded: tuple[Route, ...]
    """For callers: see `Caller`."""


def console_routes(settings: Settings, config: str, access: Access, watch: Watch, serving: Serving) -> ConsoleRoutes:
    """All routes of the console. `config`: the path of the settings file; `serving` gives the shard of each worker."""
    redaction = Redaction(settings.admin.redact)
    jobs = Jobs(os.path.join(settings.admin.dir, _JOBS), is_hiding=bool(redaction.paths))
    return ConsoleRoutes(
        (*page_routes(load_page()), SessionEndpoint(settings.admin, access).route()),
        (
            TryEndpoint(settings).route(),
            Streams(_sources(settings, redaction, watch, jobs), partial(is_let_in, access)).route(),
            *WatchEndpoints(watch).routes(),
            *lookup_routes(JobDesk(settings, config, redaction, jobs), serving),
        ),
    )


def _sources(settings: Settings, redaction: Redaction, watch: Watch, jobs: Jobs) -> Sources:
    live = Live(Tail(settings.log.dir, settings.dead_letters.dir, redaction), redaction, watch.refusals)
    return Sources(live, partial(about_node, settings.admin), watch.samples, RecentJobs(jobs.recent).get)
