"""The visitor of an event, and the session that it belongs to."""

import secrets

from msgspec import UNSET

from collector.ingest.event import Event
from collector.ingest.session import AU_IDS, Session, Sessions


def next_session(
    sessions: Sessions,
    portal_id: int,
    event: Event,
    known: Session | None,
    now: int,
    last: dict[int, Session] | None = None,
) -> Session:
    """The session of an event: by user, else by device, else by token, else for a new visitor. `now` is Unix seconds.

    `known` is the token's session; `last` has the sessions of earlier events of the same batch, by visitor.
    """
    name = event.aid if event.uid is UNSET else event.uid
    if name is not UNSET:
        au_id = sessions.au_id(portal_id, str(name))
    else:
        au_id = known.au_id if known else secrets.randbelow(AU_IDS) + 1
    sid = event.sid if type(event.sid) is int else None
    return sessions.next_hit(last.get(au_id, known) if last else known, au_id, sid, now)
