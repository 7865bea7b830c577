"""Who sent an event, and which of their sessions it belongs to."""

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
    """The session of an event: by user, else by device, else by token, else of somebody new. `now` is Unix seconds.

    `known` is what the token says, `last` are the sessions, by visitor, of earlier events of the same batch.
    """
    name = event.aid if event.uid is UNSET else event.uid
    if name is not UNSET:
        au_id = sessions.au_id(portal_id, str(name))
    else:
        au_id = known.au_id if known else secrets.randbelow(AU_IDS) + 1
    sid = event.sid if type(event.sid) is int else None
    return sessions.next_hit(last.get(au_id, known) if last else known, au_id, sid, now)
