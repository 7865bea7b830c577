"""Today's rules for dead letters, pure: which events of one pass, and why the others do not."""

from typing import Final

from collector.dead_letters.reader import DeadLetter
from collector.dead_letters.writer import Form
from collector.errors import BadRedirect, BadTarget, NotAClick, Refusal
from collector.ingest.bodies.splitting import batch_in
from collector.ingest.event import Event, decode_event
from collector.ingest.options import ResponseType, redirect_fault
from collector.ingest.policy.client_address import kept_address
from collector.ingest.policy.privacy import scrub
from collector.ingest.policy.properties import Property
from collector.ingest.policy.redirect import Signer
from collector.ingest.query import event_of, parse_pairs
from collector.ingest.record import RequestContext
from collector.settings import Limits

_REDIRECT_CODES: Final = frozenset((BadRedirect.code, NotAClick.code))


def events_by_name(dead_letter: DeadLetter, limits: Limits) -> dict[str, list[bytes]]:
    """The events of a dead letter by their names in the ledger. The events of a batch pass or fail one by one.

    Raises Rejected.
    """
    record = dead_letter.record
    body = _event_in(dead_letter.body) if record.form in (Form.QUERY, Form.FORM) else dead_letter.body
    batch = batch_in(body, limits.batch_events, is_ndjson=record.form is Form.NDJSON)
    if batch is None or not record.refusals:
        return {record.id: [body] if batch is None else batch.events}
    return {f"{record.id}/{at}": [event] for at, event in enumerate(batch.events)}


def decoded(body: bytes, prop: Property, limits: Limits) -> tuple[Event, bytes]:
    """Decode an event; returns it and the bytes that the property stores today. Raises Rejected."""
    event, line = decode_event(body, prop.required, limits)
    return event, scrub(line, prop.ip, keeps_user_agent=prop.has_user_agent)


def redirect_refusal(
    dead_letter: DeadLetter, prop: Property, signer: Signer, events: list[tuple[Event, bytes]]
) -> Refusal | None:
    """Why today's redirect rules refuse a dead letter; None if they do not.

    A dead letter of a body does not have the query, which named the redirect's target: a body that a redirect rule
    refused stays refused. If another rule refused a query, its target was allowed at that time, perhaps by a signature,
    which the dead letter does not have.
    """
    record = dead_letter.record
    is_of_redirect_rule = record.code in _REDIRECT_CODES
    if record.form is not Form.QUERY:
        return Refusal(record.code, record.reason, record.errors) if is_of_redirect_rule else None
    pairs = parse_pairs(dead_letter.body)
    is_click = len(events) == 1 and "click" in (events[0][0].ea, events[0][0].ec)
    if is_of_redirect_rule:
        return redirect_fault(pairs, prop, signer, record.received_at // 1000, is_click=is_click)
    if pairs.values.get("resp_type") == ResponseType.REDIRECT.value and not is_click:
        return NotAClick("a redirect needs a click event: ea or ec must be click").refusal
    return None


def context_of(dead_letter: DeadLetter, prop: Property) -> RequestContext:
    """The sender and time of a dead letter, as far as the property stores them today."""
    record = dead_letter.record
    return RequestContext(
        prop=prop,
        received_ms=record.received_at,
        ip=kept_address(record.ip, prop.ip),
        user_agent=record.user_agent if prop.has_user_agent else None,
        referer=record.referer,
        is_s2s=record.s2s,
        warnings=[f"redriven from dead letter {record.id}"],
        dialect=record.dialect,
    )


def _event_in(query: bytes) -> bytes:
    """The event in a query or a form. Raises BadTarget if it has too many parameters to read all."""
    pairs = parse_pairs(query)
    if pairs.is_cut:
        raise BadTarget("the query or the form has too many parameters")
    return event_of(pairs)
