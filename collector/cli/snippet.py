"""`collector snippet`."""

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Final

from collector.errors import BadSettings
from collector.settings import PropertySettings, Settings, load_settings
from collector.settings.faults import did_you_mean
from collector.web.addresses import own_url, snippet_of
from collector.web.advice import GENERAL_ADVICE, advice
from wal.tools.terminal import harmless

_URL: Final = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")
_NAMED: Final = 20
"""Public ids that an error lists."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the property, the node's address and the form of the tags."""
    parser.add_argument("--property", required=True, metavar="ID", help="its public id, or PORTAL.PROP, or PORTAL/PROP")
    parser.add_argument(
        "--url", metavar="URL", help="the node as pages reach it, such as https://c.example.com; default: server.host"
    )
    parser.add_argument(
        "--nonce", metavar="TEXT", help="nonce of the page's policy, or what your template replaces by it"
    )
    parser.add_argument(
        "--no-inline", action="store_true", help="one tag without inline code, for pages whose policy forbids that"
    )
    parser.epilog = (
        "The tags go to stdout, hints to stderr.\n\n"
        "example: collector snippet --property shop --url https://c.example.com"
    )


def run(options: argparse.Namespace) -> int:
    """Print the tags, and on stderr what the page's policy must allow and what is wrong with the property."""
    settings = load_settings(options.config)
    prop = _property(settings, options.property, options.config)
    url = options.url or own_url(settings.server)
    match = _URL.fullmatch(url)
    if match is None:
        print(harmless(f"collector: --url: expected a URL such as https://c.example.com, got {url!r}"), file=sys.stderr)
        return 2
    snippet = snippet_of(settings.server, prop, url, options.nonce, is_inline=not options.no_inline)
    print(snippet.tags())
    hints = [f"property {prop.public_id}: {hint}" for hint in advice(prop)]
    hints += _hints_on_url(match, is_given=bool(options.url))
    hints += GENERAL_ADVICE
    hints += snippet.policy_notes()
    for hint in hints:
        print(harmless(f"collector: note: {hint}"), file=sys.stderr)
    return 0


def _property(settings: Settings, name: str, config: str) -> PropertySettings:
    """The property of a name. Raises BadSettings, which lists the public ids that there are."""
    by_name: dict[str, PropertySettings] = {}
    for prop in settings.property:
        by_name[f"{prop.portal_id}/{prop.prop_id}"] = prop
        by_name.setdefault(f"{prop.portal_id}.{prop.prop_id}", prop)
    by_name |= {prop.public_id: prop for prop in settings.property}
    if name in by_name:
        return by_name[name]
    ids = [prop.public_id for prop in settings.property]
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    known = f"its public ids are {', '.join(ids[:_NAMED])}{more}" if ids else "it has no property"
    raise BadSettings(f"no property {name!r} in {config}: {known}{did_you_mean(name, ids)}")


def _hints_on_url(match: re.Match[str], *, is_given: bool) -> Iterator[str]:
    if not is_given:
        yield (
            f"{match[0]} is the address by server.host, and tags and policy are for it alone: "
            "say with --url how pages reach the node"
        )
    if match[1] == "http" and match[2] not in _LOCAL:
        yield "pages over HTTPS can't send to an http address: give an https one"
