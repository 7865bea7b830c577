"""Refused events: they count against a rate of their own, and become dead letters."""

import asyncio
import time
from functools import partial
from typing import Final

from collector.dead_letters.content import PART_BYTES
from collector.dead_letters.writer import DeadLetters, Form, Refused, Sender
from collector.errors import Refusal, TooFast
from collector.ingest.policy.privacy import scrub_raw
from collector.ingest.policy.properties import Property
from collector.ingest.record import RequestContext, shortened
from collector.ingest.request import EventRequest
from collector.long_work import computed

TOO_MANY: Final = Refusal(TooFast.code, "too many events of this property are refused")
SCRUB_WORK: Final = 4
"""The factor on the work of a byte if addresses or user agents are removed from events."""
_LETTER_BYTES: Final = 1024
_SHORT_BYTES: Final = 128
"""Bytes of a header in a dead letter; fewer if a request may leave several letters, each of which has the headers."""


class Rejects:
    """Counts the refused events of all properties, and puts them into the dead letters."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters

    def is_over(self, request: EventRequest) -> bool:
        """Whether the property is over its rate of refused events. Then those of this request leave no dead letters.

        Valid events are not affected, so junk locks nobody out.
        """
        return self._wait_seconds(request) > 0

    def check(self, request: EventRequest) -> None:
        """Raise TooFast if `is_over`."""
        if wait := self._wait_seconds(request):
            raise TooFast(TOO_MANY.message, wait)

    def keep_short(self, request: EventRequest, form: Form, refused: list[Refused]) -> asyncio.Future[None] | None:
        """Count one short refused event, and put it into the dead letters; returns the future of the letter, if any."""
        context, (one,) = request.context, refused
        context.prop.rejects.take(1)
        if not one.raw:
            return None
        if context.prop.is_scrubbed:
            (one,) = _scrubbed(context.prop, form, refused)
        return self._dead_letters.put_short(_sender(context, is_one_letter=True), form, one)

    async def keep(self, request: EventRequest, form: Form, refused: list[Refused]) -> None:
        """Count refused events, and put them into the dead letters."""
        context = request.context
        if not request.is_stored:
            return
        context.prop.rejects.take(len(refused))
        if length := sum(len(event.raw) for event in refused):
            if context.prop.is_scrubbed:
                refused = await computed(length * SCRUB_WORK, partial(_scrubbed, context.prop, form, refused))
            is_one_letter = len(refused) == 1 and length <= PART_BYTES and request.share == 1
            sender = _sender(context, is_one_letter=is_one_letter)
            await self._dead_letters.put(sender, form, refused, request.share)

    def _wait_seconds(self, request: EventRequest) -> int:
        return request.context.prop.rejects.wait_seconds(time.monotonic()) if request.is_stored else 0


def _scrubbed(prop: Property, form: Form, refused: list[Refused]) -> list[Refused]:
    """Refused events without the parts that the property does not allow to be stored."""
    keeps_user_agent = prop.has_user_agent
    return [
        event._replace(
            raw=scrub_raw(
                event.raw,
                form,
                prop.ip,
                keeps_user_agent=keeps_user_agent,
                is_element=event.batch_index is not None,
            )
        )
        for event in refused
    ]


def _sender(context: RequestContext, *, is_one_letter: bool) -> Sender:
    """The sender of refused events. Its headers are cut to their limit."""
    prop, most = context.prop, _LETTER_BYTES if is_one_letter else _SHORT_BYTES
    user_agent, referer = (text and shortened(text, most) for text in (context.user_agent, context.referer))
    return Sender(
        prop.portal_id,
        prop.prop_id,
        context.received_ms,
        context.ip,
        user_agent,
        referer,
        context.is_s2s,
        context.dialect,
    )
