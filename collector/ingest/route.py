"""The endpoint: one request from its scope to its answer. Knows the order of the steps, and none of their rules."""

import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.types import Receive, Scope, Send

from collector.config import Limits
from collector.dead_letters import DeadLetters
from collector.errors import (
    BadEvent,
    ForbiddenOrigin,
    MethodNotAllowed,
    NotAClick,
    NotFound,
    Rejected,
    TooLarge,
    UrlTooLong,
)
from collector.ingest.answer import Answer, event_answer, event_object, redirect_answer, refusal_answer
from collector.ingest.body import BodyReader, ClientGone, check_media
from collector.ingest.cors import check_origin
from collector.ingest.decode import Event, decode_event
from collector.ingest.envelope import envelope
from collector.ingest.session import Sessions
from collector.ingest.target import Face, Target, Targets
from collector.problems import status_of
from collector.registry import Property, Registry
from wal.committer import Committer
from wal.errors import WalError

_METHODS: Final = "POST"
_AU_IDS: Final = 2**53 - 1


class _Request(NamedTuple):
    """What is known of a request once its body is read."""

    client: tuple[str, int] | None
    headers: dict[bytes, bytes]
    target: Target
    prop: Property
    token: bytes


class EventEndpoint:
    """An ASGI application for the paths that take events."""

    def __init__(
        self,
        *,
        registry: Registry,
        committer: Committer,
        dead_letters: DeadLetters,
        sessions: Sessions,
        limits: Limits,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives Unix milliseconds. Create it inside the event loop."""
        self._targets = Targets(registry)
        self._bodies = BodyReader(limits)
        self._committer = committer
        self._dead_letters = dead_letters
        self._sessions = sessions
        self._limits = limits
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever happens, it is answered from here."""
        query: bytes = scope["query_string"]
        target, token = self._targets.find(query)
        try:
            if scope["method"] != _METHODS:
                raise MethodNotAllowed(f"expected {_METHODS}")
            if len(query) + len(scope["raw_path"]) > self._limits.url_bytes:
                raise UrlTooLong(f"the URL is over the limit of {self._limits.url_bytes} bytes")
            answer = await self._take(scope, receive, target, token)
        except ClientGone:
            return
        except (Rejected, WalError) as error:
            answer = _refused(target, error)
        await send_answer(send, answer)

    async def _take(self, scope: Scope, receive: Receive, target: Target, token: bytes) -> Answer:
        prop = target.property
        if prop is None:
            return _refused(target, target.fault or NotFound())
        headers = dict(scope["headers"])
        check_origin(prop, headers.get(b"origin"))
        check_media(headers)
        body = await self._bodies.read(receive, headers)
        if len(body) > self._limits.event_bytes:
            raise TooLarge(f"the event is over the limit of {self._limits.event_bytes} bytes")
        fault = target.fault
        if fault is None:
            try:
                event, line = self._decode(body, prop, target.face)
            except (BadEvent, NotAClick) as error:
                fault = error
        if fault is not None:
            if body:
                await self._dead_letters.put(prop, fault, body)
            return _refused(target, fault)
        return await self._store(_Request(scope["client"], headers, target, prop, token), event, line)

    def _decode(self, body: bytes, prop: Property, face: Face) -> tuple[Event, bytes]:
        if not body:
            raise BadEvent("the request carries no event")
        event, line = decode_event(body, prop.required, self._limits.nesting)
        if face is Face.REDIRECT and "click" not in (event.ea, event.ec):
            raise NotAClick("a redirect needs a click event: ea or ec must be click")
        return event, line

    async def _store(self, request: _Request, event: Event, line: bytes) -> Answer:
        client, headers, target, prop, token = request
        committer = self._committer
        received_ms = self._clock()
        sid = event.sid if type(event.sid) is int else None
        au_id = self._au_id(prop.portal_id, event, token)
        session, token = self._sessions.next_hit(prop.portal_id, au_id, sid, token, received_ms // 1000)
        sequence = committer.next_sequence
        record = envelope(
            log_id=committer.log.log_id,
            sequence=sequence,
            received_ms=received_ms,
            prop=prop,
            ip=None if target.is_s2s or not client else client[0],
            user_agent=None if target.is_s2s else headers.get(b"user-agent"),
            referer=headers.get(b"referer"),
            is_s2s=target.is_s2s,
            session=session,
            event=line,
        )
        await committer.append(record)
        event_id = b"%b-%d" % (committer.log.log_id, sequence)
        aid = str(event.aid) if type(event.aid) in (str, int) else ""
        return event_answer(target.face, event_id, target.location, event_object(session, received_ms, aid, token))

    def _au_id(self, portal_id: int, event: Event, token: bytes) -> int:
        """Who this is: by user, else by device, else by token, else somebody new."""
        for name in (event.uid, event.aid):
            if type(name) in (str, int):
                return self._sessions.au_id(portal_id, str(name))
        return self._sessions.au_id_of(portal_id, token) or secrets.randbelow(_AU_IDS) + 1


async def not_found(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The ASGI application for every other path."""
    await send_answer(send, refusal_answer(404, Face.JSON, NotFound()))


async def send_answer(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    length = (b"content-length", b"%d" % len(answer.body))
    await send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, length]})
    await send({"type": "http.response.body", "body": answer.body})


def _refused(target: Target, error: Rejected | WalError) -> Answer:
    """The person comes first: an allowed click goes on, whatever became of its event."""
    if target.location and not isinstance(error, NotAClick | ForbiddenOrigin | MethodNotAllowed):
        return redirect_answer(target.location)
    allow = _METHODS.encode() if isinstance(error, MethodNotAllowed) else None
    return refusal_answer(status_of(error), target.face, error, allow)
