"""The table `[admin]` of `collector.toml`."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated

from msgspec import Meta, Struct

from collector.settings.faults import EXPECTED, SettingFault, shown
from collector.settings.fields import FromEnvironment

HostName = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9_][a-z0-9_.-]{0,252}\Z",
        extra={EXPECTED: "a host name in small letters and without a port, for example `tracklog.example.com`"},
    ),
]
RedactedPath = Annotated[
    str,
    Meta(
        pattern=r"\A[^.\x00-\x20]{1,64}(\.[^.\x00-\x20]{1,64}){0,15}\Z",
        extra={
            EXPECTED: "the names of at most 16 members with dots between them, for example `event.dims.users.email`"
        },
    ),
]


class AdminSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The address for operators: health, status, metrics and the console."""

    enabled: Annotated[bool, Meta(description="whether there is an admin process")] = True
    host: Annotated[str, Meta(min_length=1, description="address to listen on; only loopback needs no `token`")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 takes a free one")] = 8081
    token: Annotated[
        FromEnvironment | None,
        Meta(
            description="`env:NAME` of the token that programs present as `authorization: Bearer`, and people at the "
            "log-in of the console; `/livez` and `/readyz` need none"
        ),
    ] = None
    hosts: Annotated[
        tuple[HostName, ...],
        Meta(
            description="names by which browsers and scrapers reach it, beside `localhost` and IP addresses; a request "
            "that names another host gets 421"
        ),
    ] = ()
    allow_actions: Annotated[
        bool, Meta(description="whether the console may act: redrive, replay, and send an event; else it only reads")
    ] = False
    redact: Annotated[
        tuple[RedactedPath, ...],
        Meta(
            description="members that the console hides, such as `uid`, `ip` or `event.dims.users.email`; a path "
            "begins at the record or at its event"
        ),
    ] = ()

    dir: Annotated[
        str,
        Meta(
            min_length=1,
            description="folder for the history of the console: charts of the last hour, accounts of 30 days, jobs; it "
            "may be deleted while the collector is stopped",
        ),
    ] = "data/console"

    def faults(self) -> Iterator[SettingFault]:
        """Rules that need several fields."""
        if self.enabled and self.token is None and not _is_loopback(self.host):
            yield SettingFault(
                "token",
                f"expected `env:NAME`, because others reach admin.host {shown(self.host)}: set a token, listen on "
                "127.0.0.1, or set enabled = false",
                reads=("token", "host", "enabled"),
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
