"""A node's files, filled by tests, and the endpoints that look things up in them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from collector.ops.console.access.access import Access
from collector.ops.console.access.guard import Guard
from collector.ops.console.api.refusals import EXCEPTION_HANDLERS
from collector.ops.console.jobs.endpoints import JobDesk
from collector.ops.console.jobs.jobs import Jobs
from collector.ops.console.lookup_routes import lookup_routes
from collector.ops.console.rows.redaction import Redaction
from collector.settings import Settings, load_settings
from tests.collector.ops.console.asking import OWN, asked
from tests.collector.ship.batches import LOG_ID, record
from tests.running import Response
from wal.log import Log

START_MS = 1_714_564_800_000
SETTINGS = """
[admin]
allow_actions = true
{admin}
[log]
min_free_bytes = 0
[[property]]
portal_id = 33167
prop_id = 2
required = ["ea", "ec"]
[[sink]]
type = "file"
dir = "data/events"
"""


class LookedUp:
    """The endpoints of a node with one worker, on the files below a folder."""

    def __init__(self, folder: Path, admin: str = "", settings: str = SETTINGS) -> None:
        self.folder = folder
        self.config = folder / "collector.toml"
        self.config.write_text(settings.replace("{admin}", admin))
        self.settings: Settings = load_settings(str(self.config))
        self.jobs = Jobs(str(folder / "data/console/jobs"), is_hiding=bool(self.settings.admin.redact))
        desk = JobDesk(self.settings, str(self.config), Redaction(self.settings.admin.redact), self.jobs)
        routes = lookup_routes(desk, lambda: ["00"])
        app = Starlette(routes=list(routes), exception_handlers=EXCEPTION_HANDLERS)
        self._app = Guard(app, Access(None, lambda: START_MS), (), ())

    def get(self, path: str) -> Response:
        """The response to a GET of the page."""
        return asked(self._app, path)

    def json(self, path: str, status: int = 200) -> Any:
        """The body of the response, which has this status."""
        response = self.get(path)
        assert response.status == status, response.body
        return response.json()

    def send(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """The body of the response to another request, None if it is empty."""
        headers = (*OWN, ("content-type", "application/json"))
        response = asked(self._app, path, headers, method=method, body=json.dumps(body).encode())
        assert response.status == status, response.body
        return response.json() if response.body else None

    def write(
        self, shard: str = "00", *, blocks: int = 1, events: int = 3, ms: int = START_MS, step_ms: int = 1000
    ) -> str:
        """Append blocks of events, one each step; returns the id of the log."""
        now = [ms]
        with closing(Log(str(self.folder / "data/log" / shard), clock=lambda: now[0])) as log:
            for _ in range(blocks):
                first = log.end.sequence
                lines = [record(first + at).replace(LOG_ID.encode(), log.log_id) for at in range(events)]
                log.commit(b"".join(lines), len(lines))
                now[0] += step_ms
            return log.log_id.decode()

    def append(self, lines: Sequence[bytes], shard: str = "00", ms: int = START_MS) -> str:
        """Append a block of these events; each `LOG` in them becomes the id of the log, which is returned."""
        with closing(Log(str(self.folder / "data/log" / shard), clock=lambda: ms)) as log:
            log.commit(b"".join(each.replace(b"LOG", log.log_id) for each in lines), len(lines))
            return log.log_id.decode()

    def append_dead(self, *bodies: str, shard: str = "00", ms: int = START_MS, **members: object) -> list[str]:
        """Append dead letters of these bodies; returns their ids."""
        with closing(Log(str(self.folder / "data/dead" / shard), clock=lambda: ms)) as log:
            first = log.end.sequence
            ids = [f"{log.log_id.decode()}-{first + at}" for at in range(len(bodies))]
            letters = [_letter(name, body, ms, members) for name, body in zip(ids, bodies, strict=True)]
            log.commit(b"".join(letters), len(letters))
        return ids


def _letter(name: str, body: str, ms: int, members: dict[str, object]) -> bytes:
    """A line as the collector writes it: JSON stands in it as it came."""
    known = {"id": name, "received_at": ms, "portal_id": 33167, "prop_id": 2, "ip": "192.0.2.7", "form": "json"}
    encoding, raw = ("json", body) if _is_json(body) else ("utf-8", json.dumps(body))
    if "encoding" in members:
        encoding, raw = str(members["encoding"]), json.dumps(body)
    head = json.dumps({**known, "reason": "was wrong", "errors": [], **members, "encoding": encoding})[:-1]
    return f'{head},"raw":{raw}}}\n'.encode()


def _is_json(body: str) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def pages(looked_up: LookedUp, path: str, member: str, parameter: str) -> Iterator[Any]:
    """All that a list has, page after page."""
    following = ""
    while following is not None:
        page = looked_up.json(f"{path}&{parameter}={following}")
        yield from page[member]
        following = page["next"]
