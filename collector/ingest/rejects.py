"""What becomes of refused events: they count against a rate of their own, and are kept as dead letters."""

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
"""How many times the work a byte costs where addresses or user agents are taken out of events."""
_LETTER_BYTES: Final = 1024
_SHORT_BYTES: Final = 128
"""Of each header in a dead letter; less where one request may leave several letters, each of which has the headers."""


class Rejects:
    """Counts and keeps the refused events of all properties."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters

    def is_over(self, request: EventRequest) -> bool:
        """Whether the property has had too many events refused: those of this request are not kept then.

        That holds back no event that passes, so junk locks nobody out.
        """
        return self._wait_seconds(request) > 0

    def check(self, request: EventRequest) -> None:
        """Raise TooFast where `is_over`."""
        if wait := self._wait_seconds(request):
            raise TooFast(TOO_MANY.message, wait)

    async def keep(self, request: EventRequest, form: Form, refused: list[Refused]) -> None:
        """Count refused events, and put them into the dead letters."""
        context = request.context
        if not request.is_stored:
            return
        context.prop.rejects.take(len(refused))
        if length := sum(len(each.raw) for each in refused):
            if context.prop.is_scrubbed:
                refused = await computed(length * SCRUB_WORK, partial(_scrubbed, context.prop, form, refused))
            await self._dead_letters.put(_sender(context, len(refused) == 1 and length <= PART_BYTES), form, refused)

    def _wait_seconds(self, request: EventRequest) -> int:
        return request.context.prop.rejects.wait_seconds(time.monotonic()) if request.is_stored else 0


def _scrubbed(prop: Property, form: Form, refused: list[Refused]) -> list[Refused]:
    """Refused events as the property lets them be kept."""
    keeps_user_agent = prop.has_user_agent
    return [
        each._replace(
            raw=scrub_raw(
                each.raw,
                form,
                prop.ip,
                keeps_user_agent=keeps_user_agent,
                is_element=each.batch_index is not None,
            )
        )
        for each in refused
    ]


def _sender(context: RequestContext, is_one_letter: bool) -> Sender:
    """Who sent refused events, with headers that are cut to what fits."""
    prop, most = context.prop, _LETTER_BYTES if is_one_letter else _SHORT_BYTES
    user_agent, referer = (text and shortened(text, most) for text in (context.user_agent, context.referer))
    return Sender(prop.portal_id, prop.prop_id, context.received_ms, context.ip, user_agent, referer, context.is_s2s)
