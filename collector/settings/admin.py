"""The table `[admin]` of `collector.toml`."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated

from msgspec import Meta, Struct

from collector.settings.faults import SettingFault, shown
from collector.settings.fields import FromEnvironment


class AdminSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The address for operators: health, status and metrics."""

    enabled: Annotated[bool, Meta(description="whether there is an admin process")] = True
    host: Annotated[str, Meta(min_length=1, description="address to listen on; only loopback needs no `token`")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 takes a free one")] = 8081
    token: Annotated[
        FromEnvironment | None,
        Meta(
            description="`env:NAME` of the token that requests present as `authorization: Bearer`; `/livez` and "
            "`/readyz` need none"
        ),
    ] = None

    dir: Annotated[
        str,
        Meta(
            min_length=1,
            description="folder for the history of the console: charts of the last hour, accounts of 30 days; it may "
            "be deleted while the collector is stopped",
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
