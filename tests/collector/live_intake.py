"""An intake on real logs in a folder, and an endpoint in front of it, without a network."""

from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from starlette.types import Scope

from collector.acknowledgements import Acknowledgements
from collector.dead_letters.budget import HourlyBudget
from collector.dead_letters.reader import DeadLetter, read_letters
from collector.dead_letters.writer import DeadLetters
from collector.dedup.index import open_index
from collector.http.asgi import head_of
from collector.http.request import RequestHead
from collector.http.response import HeaderLines, Response, response_of
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.accounts.rejects import Rejects
from collector.ingest.bodies.body import NDJSON
from collector.ingest.endpoint import EventEndpoint
from collector.ingest.intake import Intake
from collector.ingest.options import OptionsReader, RequestOptions
from collector.ingest.policy.dedup import Dedup
from collector.ingest.policy.properties import Registry
from collector.ingest.policy.redirect import Signer
from collector.ingest.record import RequestContext
from collector.ingest.request import EventRequest
from collector.ingest.session import Sessions
from collector.ingest.storing.batch import Batches
from collector.ingest.storing.completion import Completion
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.settings import Limits, PropertySettings
from collector.settings.dedup import DedupSettings
from tests.collector.live_log import live_log
from tests.running import read_log
from wal.committer import Committer
from wal.files import Files
from wal.tools.select import Selection

NOW_MS = 1_576_222_588_123
SECRET = b"s" * 64
SESSIONS = Sessions(SECRET, 1800)


class Got(NamedTuple):
    """A response as a client has it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Logs(NamedTuple):
    """What an intake writes to."""

    folder: Path
    committer: Committer
    intake: Intake
    batches: Batches
    completion: Completion
    rejects: Rejects
    notices: Notices
    accounts: Accounts
    counters: CounterBlock

    async def take(self, request: EventRequest, body: bytes, *, is_ndjson: bool = False) -> Response:
        """The response to a request with this body. Raises why it is refused."""
        request.body, request.media = body, NDJSON if is_ndjson else b"application/json"
        outcome = self.intake.submit(request)
        if isinstance(outcome, Generator):
            taken = self.completion.run(request, outcome, len(body))
        else:
            taken = self.completion.respond(request, outcome)
        return taken if isinstance(taken, Response) else await response_of(taken)

    @property
    def stored(self) -> list[dict[str, Any]]:
        """Every record of the log."""
        return read_log(self.folder / "log")

    @property
    def letters(self) -> list[DeadLetter]:
        """Every dead letter, as operators' commands read it."""
        return list(read_letters(str(self.folder / "dead"), Selection()))

    @property
    def dead(self) -> list[dict[str, Any]]:
        """Every dead letter."""
        return read_log(self.folder / "dead")


@asynccontextmanager
async def live_intake(
    folder: Path,
    limits: Limits | None = None,
    files: Files | None = None,
    confirmations: Mapping[str, Acknowledgements] | None = None,
    counters: CounterBlock | None = None,
) -> AsyncIterator[Logs]:
    """An intake whose clock stands at NOW_MS; `files` are those of the log of events."""
    async with live_log(folder / "log/00", files=files) as committer, live_log(folder / "dead/00") as dead:
        notices, limits, counters = Notices(), limits or Limits(), counters or CounterBlock.create()
        accounts = Accounts(counters, committer)
        rejects = Rejects(DeadLetters(dead, HourlyBudget(64 << 20, 1, lambda: NOW_MS), notices, counters))
        index = open_index(DedupSettings(dir=str(folder / "dedup"), bytes=16 << 20))
        index.begin(committer.log.log_id, committer.next_sequence)
        dedup = Dedup(index, committer, _raise)
        batches = Batches(committer, dedup, rejects, accounts, SESSIONS, limits)
        intake = Intake(committer, dedup, batches, accounts, SESSIONS, limits, lambda: NOW_MS)
        completion = Completion(batches, dedup, rejects, accounts, confirmations or {}, committer.log.log_id)
        try:
            yield Logs(folder, committer, intake, batches, completion, rejects, notices, accounts, counters)
        finally:
            index.close()


def _raise(error: Exception) -> None:
    raise error


def endpoint(logs: Logs, *properties: PropertySettings, limits: Limits | None = None) -> EventEndpoint:
    """The endpoint that serves these properties."""
    return EventEndpoint(
        options=OptionsReader(Registry(properties), Signer(SECRET), lambda: NOW_MS),
        intake=logs.intake,
        completion=logs.completion,
        rejects=logs.rejects,
        accounts=logs.accounts,
        limits=limits or Limits(),
        trusted_proxies=(),
        notices=logs.notices,
        cloud_events=None,
    )


async def ask(served: EventEndpoint, method: str, query: str, body: bytes | None = None, **headers: str) -> Got:
    """The response to one request; `content_type="…"` becomes the header content-type."""
    response = await respond(served, head_for(method, query, body, **headers), body or b"")
    return Got(response.status, pairs_of(response.headers), response.body)


async def respond(served: EventEndpoint, head: RequestHead, body: bytes) -> Response:
    """What a connection makes of a request: the endpoint's response, as soon as what it waits for has come."""
    request = served.admit(head)
    if isinstance(request, Response):
        return request
    request.body = body
    taken = served.take(request)
    if isinstance(taken, Response):
        return taken
    try:
        return await response_of(taken)
    except Exception as error:
        return served.refuse(request, error)


def pairs_of(headers: HeaderLines) -> list[tuple[bytes, bytes]]:
    """Header lines as pairs of name and value."""
    pairs = [line.partition(b": ")[::2] for line in headers.split(b"\r\n")]
    assert pairs.pop() == (b"", b"")
    return pairs


def head_for(method: str, query: str, body: bytes | None = None, **headers: str) -> RequestHead:
    """The head of a request."""
    return head_of(scope_of(method, query, body, **headers))


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
        "http_version": "1.1",
    }


def request_of(options: RequestOptions, context: RequestContext, **members: Any) -> EventRequest:
    """An admitted request, the plainest but for what is named."""
    plain: dict[str, Any] = {
        "is_https": False,
        "is_stored": True,
        "head": head_for("POST", ""),
        "body_limit": Limits().body_bytes,
    }
    return EventRequest(options, context, **{**plain, **members})
