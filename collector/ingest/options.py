"""The options in a query: the property and the type of response. Pure but for a bounded cache."""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from collector.errors import BadRedirect, BadTarget, Fault, FieldCode, NotAClick, NotFound, Refusal
from collector.ingest.policy.properties import Property, Registry
from collector.ingest.policy.redirect import Signer, has_expiry, location
from collector.ingest.query import PARAMETERS, Pairs, misspelt, parse_pairs

_CACHED_QUERIES: Final = 4096
"""At least; two for each property if there are many."""
_CACHED_BYTES: Final = 256
_PARAMETERS: Final = tuple(name for name in PARAMETERS if name != "an_session")
"""The parameters of the options."""
_CHOICES: Final[list[tuple[str, str, list[str]]]] = [
    (name, parameter.schema["default"], parameter.schema["enum"])
    for name, parameter in PARAMETERS.items()
    if "enum" in parameter.schema
]
_TOKEN_PARAMETER: Final = b"an_session="
_DIGITS: Final = 19
_LONGEST_NAME: Final = 64
_EXPIRED: Final = "redirect_sig has expired"
_NOT_AN_IDENTIFIER: Final = "expected an integer of at least 1"


class ResponseType(Enum):
    """The type of a response; the values are those of the parameter `resp_type`."""

    JAVASCRIPT = "javascript"
    JSON = "json"
    REDIRECT = "redirect"
    PIXEL = "pixel"


class RequestOptions(NamedTuple):
    """The options of a query. `fault` is why it is refused; `property` is None if there is no such property."""

    property: Property | None
    response_type: ResponseType
    is_s2s: bool
    location: bytes | None
    fault: Refusal | None
    named: str = ""
    """The ids of a portal and a property that do not exist, as `1/2`, or a public id."""
    has_type: bool = True
    """Whether the query names the type of response. A batch without one is answered in JSON."""
    is_queued: bool = False
    """Whether the client keeps the event until it has a response."""
    warnings: tuple[str, ...] = ()
    """Warnings for readers of the record."""


class OptionsReader:
    """Parses queries to options, and caches the results. The cache is bounded, because clients choose the queries."""

    def __init__(self, registry: Registry, signer: Signer, clock: Callable[[], int]) -> None:
        """`clock` gives Unix milliseconds."""
        self._registry = registry
        self._signer = signer
        self._clock = clock
        self._cache: dict[bytes | tuple[str | None, ...], RequestOptions] = {}
        self._most_cached = max(_CACHED_QUERIES, 2 * len(registry))

    def find(self, query: bytes) -> tuple[RequestOptions, bytes]:
        """The options in a query, and its session token (empty if none). Never raises."""
        options = self._cache.get(query)
        if options is not None:  # no query with a token is cached
            return options, b""
        token = b""
        if _TOKEN_PARAMETER in query:
            query, token = _without_token(query)
            options = self._cache.get(query)
        if options is None:
            pairs = parse_pairs(query)
            options = parse_options(pairs, self._registry, self._signer, self._clock)
            options = options._replace(warnings=tuple(misspelt(pairs)))
            self._remember(query, len(query), options, pairs)
        return options, token

    def parse(self, pairs: Pairs) -> RequestOptions:
        """The options in a query that carries an event, and so hardly ever repeats as a whole. Never raises."""
        values = tuple(map(pairs.values.get, _PARAMETERS))
        options = self._cache.get(values)
        if options is None or pairs.is_cut:
            options = parse_options(pairs, self._registry, self._signer, self._clock)
            self._remember(values, sum(len(value.encode()) for value in values if value), options, pairs)
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
    """Parse a query. Errors are in `fault`. `clock` gives Unix milliseconds."""
    values = pairs.values
    faults: list[Fault] = []
    prop, named = _property(values, registry, faults)
    chosen = {name: _choice(values, name, default, choices, faults) for name, default, choices in _CHOICES}
    response_type = chosen["resp_type"]
    target: bytes | None = None
    fault: Refusal | None = None
    if prop is not None and response_type == ResponseType.REDIRECT.value:
        target, fault = _redirect(values, prop, signer, clock() // 1000)  # a person goes on whatever else is wrong
    if pairs.is_cut:
        fault = BadTarget("the query has too many parameters").refusal
    elif faults:
        fault = BadTarget("the query failed validation", tuple(faults)).refusal
    elif prop is None:
        fault = NotFound().refusal
    is_s2s, has_type = chosen["is_s2s"] == "true", "resp_type" in values
    is_queued = chosen["queued"] == "1"
    return RequestOptions(prop, ResponseType(response_type), is_s2s, target, fault, named, has_type, is_queued)


def redirect_fault(pairs: Pairs, prop: Property, signer: Signer, now: int, *, is_click: bool) -> Refusal | None:
    """Why today's redirect rules refuse a request received at `now`, in Unix seconds; None if they allow it.

    `pairs` are those of its query. `is_click`: it carried one event, whose `ea` or `ec` is `click`.
    """
    if pairs.values.get("resp_type") != ResponseType.REDIRECT.value:
        return None
    _, fault = _redirect(pairs.values, prop, signer, now)
    return fault if fault is not None or is_click else NotAClick("a redirect needs one click event").refusal


def _redirect(
    values: dict[str, str], prop: Property, signer: Signer, now: int
) -> tuple[bytes, None] | tuple[None, Refusal]:
    """The location that a click goes on to, or the reason why not. `now` is in Unix seconds."""
    url, signature = values.get("redirect_url", ""), values.get("redirect_sig", "")
    until = signer.valid_until(url, prop.portal_id, prop.prop_id, signature) if signature else None
    is_signed = until is not None and now < until
    try:
        return location(url, prop.redirect_hosts, is_signed=is_signed), None
    except BadRedirect as error:
        if until is None or is_signed:
            return None, error.refusal
    return None, BadRedirect(_EXPIRED, (Fault("redirect_sig", FieldCode.EXPIRED, _EXPIRED),)).refusal


def _property(values: dict[str, str], registry: Registry, faults: list[Fault]) -> tuple[Property | None, str]:
    """The property that a query names, or its name if there is no such property."""
    public_id = values.get("id")
    if public_id is not None:
        return registry.named(public_id), public_id[:_LONGEST_NAME]
    portal_id, prop_id = (_identifier(values, name, faults) for name in ("portal_id", "prop_id"))
    prop = registry.get(portal_id, prop_id) if portal_id and prop_id else None
    return prop, "" if prop else f"{portal_id}/{prop_id}"


def _identifier(values: dict[str, str], name: str, faults: list[Fault]) -> int:
    """The integer >= 1 of a parameter; else 0, and a fault is added."""
    text = values.get(name)
    if text is not None and text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) >= 1:
        return int(text)
    if text is None:
        faults.append(Fault(name, FieldCode.MISSING, "missing"))
    else:
        is_integer = text.isascii() and text.isdigit()
        code = FieldCode.OUT_OF_RANGE if is_integer else FieldCode.MALFORMED
        faults.append(Fault(name, code, _NOT_AN_IDENTIFIER))
    return 0


def _choice(values: dict[str, str], name: str, default: str, choices: list[str], faults: list[Fault]) -> str:
    text = values.get(name, default)
    if text in choices:
        return text
    faults.append(Fault(name, FieldCode.NOT_ALLOWED, f"expected one of {', '.join(choices)}"))
    return default if name != "resp_type" else ResponseType.JSON.value


def _without_token(query: bytes) -> tuple[bytes, bytes]:
    """The query without its session token, so that it can repeat, and the token."""
    parts = query.split(b"&")
    tokens = [part for part in parts if part.startswith(_TOKEN_PARAMETER)]
    if not tokens:
        return query, b""
    rest = b"&".join(part for part in parts if not part.startswith(_TOKEN_PARAMETER))
    return rest, tokens[0].removeprefix(_TOKEN_PARAMETER)
