"""`collector check`."""

import argparse
import sys
from typing import Final

from collector.cli.effective import as_json, as_toml
from collector.cli.preflight import load_settings_to_check
from collector.server.tls import certificate_warning
from collector.settings import PropertySettings, Settings
from collector.shards.capacity import capacity_warnings
from wal.tools.terminal import prepare_stdout

_NOUNS: Final = (("property", "properties"), ("sink", "sinks"), ("worker", "workers"))
_SNOWPLOW: Final = "snowplow"
_NAMED: Final = 3
"""Properties that a note names."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is printed."""
    parser.epilog = "exit code 1: the settings have a fault\n\nexample: collector check --config collector.toml"
    parser.add_argument(
        "--show", action="store_true", help="print all settings in effect and where each comes from; masks secrets"
    )
    parser.add_argument("--json", action="store_true", help="with --show: print one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Print what the settings hold, if they have no fault."""
    if options.json and not options.show:
        print("collector: --json: expected --show with it", file=sys.stderr)
        return 2
    read = load_settings_to_check(options.config)
    settings = read.settings
    for warning in (*capacity_warnings(settings), certificate_warning(settings.server), credentials_note(settings)):
        if warning:
            print(f"collector: {warning}", file=sys.stderr)
    if options.show:
        prepare_stdout()
        print("\n".join(as_json(read) if options.json else as_toml(read)))
    else:
        counts = (len(settings.property), len(settings.sink), settings.server.workers)
        print("ok: " + ", ".join(map(_counted, counts, _NOUNS)))
    return 0


def credentials_note(settings: Settings) -> str | None:
    """The note about properties that pages with Snowplow's tracker can't use; None if there are none.

    The tracker sends with credentials. Browsers then refuse a response that allows all origins, and it sends again.
    """
    if _SNOWPLOW not in settings.server.dialects:
        return None
    found = [prop.public_id for prop in settings.property if _refuses_credentials(prop)]
    if not found:
        return None
    others = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return (
        f"note: pages can't use Snowplow's tracker with {', '.join(found[:_NAMED])}{others}, since it sends with "
        "credentials, to which browsers refuse `*`; list their origins, or take snowplow out of their dialects"
    )


def _refuses_credentials(prop: PropertySettings) -> bool:
    """Whether Snowplow's pages may send to a property whose origins are not listed by name."""
    return prop.source == "web" and _SNOWPLOW in prop.dialects and (not prop.origins or "*" in prop.origins)


def _counted(number: int, noun: tuple[str, str]) -> str:
    """`1 sink`, `2 sinks`. The noun is in the singular and the plural."""
    return f"{number} {noun[number != 1]}"
