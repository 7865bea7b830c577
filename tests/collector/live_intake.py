"""An intake on real logs in a folder, and an endpoint in front of it, without a network."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from starlette.types import Message, Scope

from collector import config
from collector.confirmations import Confirmations
from collector.dead_letters import DeadLetters, HourlyBudget
from collector.ingest.answer import Answer, Headers
from collector.ingest.head import head_of
from collector.ingest.intake import Intake
from collector.ingest.redirect import Signer
from collector.ingest.route import EventEndpoint
from collector.ingest.session import Sessions
from collector.ingest.target import Targets
from collector.letters import Whole, read_letters
from collector.notices import Notices
from collector.registry import Registry
from tests.collector.live_log import live_log
from tests.running import read_log
from wal.committer import Committer
from wal.files import Files
from wal.tools.select import Selection

NOW_MS = 1_576_222_588_123
SECRET = b"s" * 64
SESSIONS = Sessions(SECRET, 1800)
tries_at_once = True
"""Whether `ask` tries `EventEndpoint.begin` first, as connections do, or asks its coroutine at once."""


class Got(NamedTuple):
    """An answer as a client has it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Logs(NamedTuple):
    """What an intake writes to."""

    folder: Path
    committer: Committer
    intake: Intake
    notices: Notices

    @property
    def stored(self) -> list[dict[str, Any]]:
        """Every record of the log."""
        return read_log(self.folder / "log")

    @property
    def letters(self) -> list[Whole]:
        """Every dead letter, as operators' commands read it."""
        return list(read_letters(str(self.folder / "dead"), Selection()))

    @property
    def dead(self) -> list[dict[str, Any]]:
        """Every dead letter."""
        return read_log(self.folder / "dead")


@asynccontextmanager
async def live_intake(
    folder: Path,
    limits: config.Limits | None = None,
    files: Files | None = None,
    confirmations: Mapping[str, Confirmations] | None = None,
) -> AsyncIterator[Logs]:
    """An intake whose clock stands at NOW_MS; `files` are those of the log of events."""
    async with live_log(folder / "log/00", files=files) as committer, live_log(folder / "dead/00") as dead:
        notices = Notices()
        intake = Intake(
            committer=committer,
            dead_letters=DeadLetters(dead, HourlyBudget(64 << 20, 1, lambda: NOW_MS), notices),
            sessions=SESSIONS,
            limits=limits or config.Limits(),
            confirmations=confirmations or {},
            clock=lambda: NOW_MS,
        )
        yield Logs(folder, committer, intake, notices)


def endpoint(logs: Logs, *properties: config.Property, limits: config.Limits | None = None) -> EventEndpoint:
    """The endpoint that serves these properties."""
    return EventEndpoint(
        targets=Targets(Registry(properties), Signer(SECRET), lambda: NOW_MS),
        intake=logs.intake,
        limits=limits or config.Limits(),
        trusted_proxies=(),
        notices=logs.notices,
    )


async def ask(served: EventEndpoint, method: str, query: str, body: bytes | None = None, **headers: str) -> Got:
    """The answer to one request; `content_type="…"` becomes the header content-type."""
    scope = scope_of(method, query, body, **headers)
    if tries_at_once:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if served.begin(head_of(scope), body or b"", answered.set_result):
            return _got(await answered)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await served(scope, receive, send)
    start, end = sent
    return Got(start["status"], start["headers"], end["body"])


def _got(answer: Answer) -> Got:
    return Got(answer.status, pairs_of(answer.headers), answer.body)


def pairs_of(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Header lines as pairs of name and value."""
    pairs = [line.partition(b": ")[::2] for line in headers.split(b"\r\n")]
    assert pairs.pop() == (b"", b"")
    return pairs


def scope_of(method: str, query: str, body: bytes | None = None, **headers: str) -> Scope:
    """A request as ASGI has it."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if body is not None:
        named.append((b"content-length", b"%d" % len(body)))
    return {
        "type": "http",
        "method": method,
        "raw_path": b"/event",
        "query_string": query.encode(),
        "headers": named,
        "client": ("203.0.113.7", 4711),
        "scheme": "http",
    }
