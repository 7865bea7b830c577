"""What the query says: which property an event belongs to, and how to answer. Pure but for a bounded cache."""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from collector.errors import BadRedirect, BadTarget, Fault, NotAClick, NotFound, Refusal
from collector.ingest.policy.properties import Property, Registry
from collector.ingest.policy.redirect import Signer, has_expiry, location
from collector.ingest.query import PARAMETERS, Pairs, parse_pairs

_CACHED_QUERIES: Final = 4096
"""At the least; where there are many properties, two of each."""
_CACHED_BYTES: Final = 256
_PARAMETERS: Final = tuple(name for name in PARAMETERS if name != "an_session")
"""The parameters that the options depend on."""
_CHOICES: Final[list[tuple[str, str, list[str]]]] = [
    (name, each.schema["default"], each.schema["enum"]) for name, each in PARAMETERS.items() if "enum" in each.schema
]
_TOKEN_PARAMETER: Final = b"an_session="
_DIGITS: Final = 19
_EXPIRED: Final = "redirect_sig has expired"


class ResponseType(Enum):
    """The form of an answer; the values are those of `resp_type`."""

    JAVASCRIPT = "javascript"
    JSON = "json"
    REDIRECT = "redirect"
    PIXEL = "pixel"


class RequestOptions(NamedTuple):
    """One query, understood. `fault` is why it is refused; `property` is None where it names none."""

    property: Property | None
    response_type: ResponseType
    is_s2s: bool
    location: bytes | None
    fault: Refusal | None
    named: str = ""
    """The portal and the property that there are not, as `1/2`."""


class OptionsReader:
    """Queries to targets, remembering the ones that repeat. Clients choose the queries, so it is bounded."""

    def __init__(self, registry: Registry, signer: Signer, clock: Callable[[], int]) -> None:
        """`clock` gives Unix milliseconds."""
        self._registry = registry
        self._signer = signer
        self._clock = clock
        self._cache: dict[bytes | tuple[str | None, ...], RequestOptions] = {}
        self._most_cached = max(_CACHED_QUERIES, 2 * len(registry))

    def find(self, query: bytes) -> tuple[RequestOptions, bytes]:
        """The options in a query, and its session token (empty if none). Never raises."""
        token = b""
        if _TOKEN_PARAMETER in query:
            query, token = _without_token(query)
        options = self._cache.get(query)
        if options is None:
            pairs = parse_pairs(query)
            options = parse_options(pairs, self._registry, self._signer, self._clock)
            self._remember(query, len(query), options, pairs)
        return options, token

    def parse(self, pairs: Pairs) -> RequestOptions:
        """The options in a query that carries an event, and so is hardly ever repeated as a whole. Never raises."""
        said = tuple(map(pairs.values.get, _PARAMETERS))
        options = self._cache.get(said)
        if options is None or pairs.is_cut:
            options = parse_options(pairs, self._registry, self._signer, self._clock)
            self._remember(said, sum(len(value or "") for value in said), options, pairs)
        return options

    def _remember(
        self, key: bytes | tuple[str | None, ...], length: int, options: RequestOptions, pairs: Pairs
    ) -> None:
        is_lasting = not has_expiry(pairs.values.get("redirect_sig", ""))
        if options.fault is None and length <= _CACHED_BYTES and is_lasting:
            if len(self._cache) >= self._most_cached:
                self._cache.clear()
            self._cache[key] = options


def parse_options(pairs: Pairs, registry: Registry, signer: Signer, clock: Callable[[], int]) -> RequestOptions:
    """Understand a query. What is wrong with it is in `fault`. `clock` gives Unix milliseconds."""
    values = pairs.values
    faults: list[Fault] = []
    portal_id, prop_id = (_identifier(values, name, faults) for name in ("portal_id", "prop_id"))
    chosen = {name: _choice(values, name, default, choices, faults) for name, default, choices in _CHOICES}
    response_type = chosen["resp_type"]
    prop = registry.get(portal_id, prop_id) if portal_id and prop_id else None
    where: bytes | None = None
    fault: Refusal | None = None
    if pairs.is_cut:
        fault = BadTarget("the query has too many parameters").refusal
    elif faults:
        fault = BadTarget("the query failed validation", tuple(faults)).refusal
    elif prop is None:
        fault = NotFound().refusal
    elif response_type == ResponseType.REDIRECT.value:
        where, fault = _redirect(values, prop, signer, clock() // 1000)
    named = "" if prop else f"{portal_id}/{prop_id}"
    return RequestOptions(prop, ResponseType(response_type), chosen["is_s2s"] == "true", where, fault, named)


def redirect_fault(pairs: Pairs, prop: Property, signer: Signer, now: int, *, is_click: bool) -> Refusal | None:
    """Why today's redirect rules refuse a request that came at `now`, in Unix seconds; None if they don't.

    `pairs` are those of its query. `is_click` says whether it carried one event, whose `ea` or `ec` is `click`.
    """
    if pairs.values.get("resp_type") != ResponseType.REDIRECT.value:
        return None
    _, fault = _redirect(pairs.values, prop, signer, now)
    return fault if fault is not None or is_click else NotAClick("a redirect needs one click event").refusal


def _redirect(
    values: dict[str, str], prop: Property, signer: Signer, now: int
) -> tuple[bytes, None] | tuple[None, Refusal]:
    """Where a click goes on, or why it may not; `now` is Unix seconds."""
    url, signature = values.get("redirect_url", ""), values.get("redirect_sig", "")
    until = signer.valid_until(url, prop.portal_id, prop.prop_id, signature) if signature else None
    is_signed = until is not None and now < until
    try:
        return location(url, prop.redirect_hosts, is_signed=is_signed), None
    except BadRedirect as error:
        is_late = until is not None and not is_signed
        name, message = ("redirect_sig", _EXPIRED) if is_late else ("redirect_url", error.refusal.message)
    return None, BadRedirect(message, (Fault(name, message),)).refusal


def _identifier(values: dict[str, str], name: str, faults: list[Fault]) -> int:
    """The integer >= 1 of a parameter; 0 with a fault otherwise."""
    text = values.get(name)
    if text is not None and text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) >= 1:
        return int(text)
    faults.append(Fault(name, "missing" if text is None else "expected an integer from 1 on"))
    return 0


def _choice(values: dict[str, str], name: str, default: str, choices: list[str], faults: list[Fault]) -> str:
    text = values.get(name, default)
    if text in choices:
        return text
    faults.append(Fault(name, f"expected one of {', '.join(choices)}"))
    return default if name != "resp_type" else ResponseType.JSON.value


def _without_token(query: bytes) -> tuple[bytes, bytes]:
    """The query without its session token, so that it repeats, and the token."""
    parts = query.split(b"&")
    tokens = [part for part in parts if part.startswith(_TOKEN_PARAMETER)]
    if not tokens:
        return query, b""
    rest = b"&".join(part for part in parts if not part.startswith(_TOKEN_PARAMETER))
    return rest, tokens[0].removeprefix(_TOKEN_PARAMETER)
