"""Types of single settings, pure: their bounds, and the rules for one value."""

import ipaddress
import re
from typing import Annotated, Final, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta

from collector.settings.faults import CHECK, EXPECTED, shown

EVENT_PATHS: Final = ("/event", "/")
OPENAPI_PATH: Final = "/openapi.json"
RELAY_PATH: Final = "/relay"
SCRIPT_PATH: Final = "/t.js"
"""The tracker for pages. `/t.HASH.js` is the same, under a name that follows from its content."""
DEMO_PATH: Final = "/demo"
_TAKEN_PATHS: Final = re.compile(
    "|".join(map(re.escape, (*EVENT_PATHS, OPENAPI_PATH, RELAY_PATH, SCRIPT_PATH))) + r"|/t\.[0-9a-f]+\.js"
)

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Name = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9][a-z0-9_-]{0,63}\Z",
        extra={EXPECTED: "a name of at most 64 of a-z, 0-9, `_` and `-`, which begins with a letter or digit"},
    ),
]
PublicId = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9._-]{1,64}\Z",
        extra={EXPECTED: "an id of at most 64 letters, digits, `.`, `_` and `-`"},
    ),
]
DialectName = Literal["segment", "snowplow", "matomo", "posthog", "cloudevents"]
DIALECTS: Final[tuple[DialectName, ...]] = get_args(DialectName)
Text = Annotated[str, Meta(min_length=1)]
Positive = Annotated[int, Meta(ge=1)]
Identifier = Annotated[int, Meta(ge=1, lt=2**53)]
FromEnvironment = Annotated[
    str,
    Meta(
        pattern=r"\Aenv:[A-Za-z_][A-Za-z0-9_]*\Z",
        extra={EXPECTED: "`env:NAME`, where NAME is the environment variable that holds the value"},
    ),
]


def _origin_fault(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        parts = urlsplit("")
    if origin == "*" or (parts.netloc and "@" not in origin and origin == f"{parts.scheme}://{parts.netloc}".lower()):
        return None
    return f"expected an origin, for example https://shop.example.com, got {shown(origin)}"


def _host_fault(host: str) -> str | None:
    name = host.removeprefix("*.")
    if name and name == name.lower() and name.isascii() and not set(name) & set("*/:@ "):
        return None
    return f"expected a host, for example shop.example.com or *.example.com, got {shown(host)}"


def _network_fault(network: str) -> str | None:
    try:
        ipaddress.ip_network(network)
    except ValueError as error:
        reason = "host bits are set" if "host bits" in str(error) else "not a network"
        return f"expected a network, for example 10.0.0.0/8 or ::1, got {shown(network)}: {reason}"
    return None


def _path_fault(path: str) -> str | None:
    return f"{path} is already a path of the collector; choose another" if _TAKEN_PATHS.fullmatch(path) else None


Origin = Annotated[str, Meta(extra={CHECK: _origin_fault})]
RedirectHost = Annotated[str, Meta(extra={CHECK: _host_fault})]
Network = Annotated[str, Meta(extra={CHECK: _network_fault})]
Path = Annotated[
    str,
    Meta(
        pattern=r"\A/[A-Za-z0-9._~/-]{1,255}\Z",
        extra={EXPECTED: "a path such as `/t`, of letters, digits, `.`, `_`, `~`, `-` and `/`", CHECK: _path_fault},
    ),
]
PathOrNone = Annotated[
    str,
    Meta(
        pattern=r"\A(/[A-Za-z0-9._~/-]{1,255})?\Z",
        extra={
            EXPECTED: "a path such as `/healthz`, of letters, digits, `.`, `_`, `~`, `-` and `/`, or an empty text",
            CHECK: _path_fault,
        },
    ),
]
