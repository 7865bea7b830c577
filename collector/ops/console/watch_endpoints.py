"""`GET /api/series` and `GET /api/accounts`."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.ops.console.accounts.accounts import DAYS
from collector.ops.console.accounts.store import DAY_MS
from collector.ops.console.api.parameters import read_parameters
from collector.ops.console.api.refusals import json_response, refused
from collector.ops.console.node.rates import NAMES
from collector.ops.console.node.series import FINE_LENGTH, SeriesRing
from collector.ops.console.watch import Watch
from wal.log import now_ms

_MONTH: Final = f"{DAYS}d"
_EPOCH: Final = date(1970, 1, 1).toordinal()


class SeriesQuery(Struct, frozen=True):
    """Series by name, separated by commas; all without any. Up to 600 seconds have a value a second, others in 10 s."""

    names: str = ""
    seconds: Annotated[int, Meta(ge=1, le=3600)] = 3600


class AccountsQuery(Struct, frozen=True):
    """A day as YYYY-MM-DD, today without one, or `30d`; the rows after so many, of properties whose name has `q`."""

    day: str = ""
    after: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    q: str = ""


class WatchEndpoints:
    """The endpoints of `Watch`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def routes(self) -> tuple[Route, ...]:
        """For Starlette."""
        return Route("/api/series", self._series), Route("/api/accounts", self._accounts)

    async def _series(self, request: Request) -> Response:
        query = read_parameters(request.scope["query_string"], SeriesQuery)
        sampler = self._watch.sampler
        ring = sampler.fine if query.seconds <= FINE_LENGTH else sampler.coarse
        known = dict.fromkeys((*NAMES, *ring.names))
        names = query.names.split(",") if query.names else list(known)
        if unknown := [name for name in names if name not in known]:
            raise refused("bad_parameter", f"names: no series {unknown[0]!r}; expected some of {', '.join(known)}")
        return json_response(series_values(ring, names, query.seconds, now_ms()))

    async def _accounts(self, request: Request) -> Response:
        query, unix_ms = read_parameters(request.scope["query_string"], AccountsQuery), now_ms()
        days = days_of(query.day, unix_ms // DAY_MS)
        if days is None:
            raise refused("bad_parameter", f"day: expected YYYY-MM-DD of the last {DAYS} days, or {_MONTH}")
        accounts = await self._watch.accounts(*days, query.after, query.q)
        if accounts is None:
            raise refused("unavailable", "the accounts can't be read now; try again in some seconds", 5)
        return json_response({"day": query.day or date_of(days[0])} | accounts)


def series_values(ring: SeriesRing, names: Sequence[str], seconds: int, unix_ms: int) -> dict[str, Any]:
    """The values of the last `seconds`, oldest first. After a pause of the sampler the newest ones are unknown."""
    step_ms = ring.step_seconds * 1000
    end, count = max(ring.last, unix_ms // step_ms - 2), max(1, seconds // ring.step_seconds)
    return {
        "step_s": ring.step_seconds,
        "first_ms": (end - count + 1) * step_ms,
        "values": {name: ring.values(name, end, count) for name in names},
    }


def days_of(text: str, today: int) -> tuple[int, int] | None:
    """The first and the last day that a parameter names, as days since 1970; None if it names none that is kept."""
    if text == _MONTH:
        return today - DAYS + 1, today
    try:
        day = date.fromisoformat(text).toordinal() - _EPOCH if text else today
    except ValueError:
        return None
    return (day, day) if today - DAYS < day <= today else None


def date_of(day: int) -> str:
    """A day as YYYY-MM-DD."""
    return date.fromordinal(day + _EPOCH).isoformat()
