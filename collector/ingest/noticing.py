"""What operators must know of refused requests: counted for the process log, which has a line for each kind."""

import re
from typing import Final

from collector.errors import Forbidden, NotFound, Refusal, TooFast
from collector.http.status import UNAVAILABLE
from collector.ops.notices import Notices
from collector.process_log.of_requests import RateExceeded, SenderRefused, UnknownProperty

_NOTICED: Final = {NotFound.code: UnknownProperty, TooFast.code: RateExceeded, Forbidden.code: SenderRefused}
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)?")
"""The numbers in a reason for a 503, which are masked so that one reason has one count."""


def notice(notices: Notices, sender: str, refusal: Refusal, error: BaseException) -> None:
    """Count a refusal. `sender` is its property, or what the request names as one."""
    if refusal.code in _NOTICED:
        notices.count(_NOTICED[refusal.code], sender)
    elif refusal is UNAVAILABLE:
        notices.shed(_NUMBERS.sub("…", str(error)))
