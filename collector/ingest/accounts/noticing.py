"""Notices of refused requests for operators: counted for the process log, which has a line for each kind.

Refusals that leave no dead letter are kept for the console, without content.
"""

import re
from typing import Final

from collector.errors import BadEvent, BadRedirect, BadTarget, Forbidden, NotAClick, NotFound, Refusal, TooFast
from collector.http.status import UNAVAILABLE, UNCONFIRMED
from collector.ops.notices import Notices
from collector.ops.refusals import RefusalRing
from collector.process_log.of_requests import RateExceeded, SenderRefused, UnknownProperty

_NOTICED: Final = {NotFound.code: UnknownProperty, TooFast.code: RateExceeded, Forbidden.code: SenderRefused}
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)?")
"""The numbers in a reason for a 503, which are masked so that one reason has one count."""

_WITH_CONTENT: Final = frozenset((BadEvent.code, BadRedirect.code, NotAClick.code, UNCONFIRMED.code))
"""Refusals of an event that is in the dead letters, or in the log."""


def notice(
    notices: Notices,
    refusals: RefusalRing,
    path: bytes,
    sender: str,
    refusal: Refusal,
    error: BaseException,
    *,
    has_property: bool = True,
) -> None:
    """Count a refusal. `sender` is its property, or the request's name for one: then `has_property` is false."""
    if refusal.code not in _WITH_CONTENT and not (refusal.code == BadTarget.code and has_property):
        refusals.add(refusal.code, sender, path)
    if refusal.code in _NOTICED:
        notices.count(_NOTICED[refusal.code], sender)
    elif refusal is UNAVAILABLE:
        notices.shed(_NUMBERS.sub("…", str(error)))
