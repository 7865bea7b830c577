"""`collector sign-url`."""

import argparse
import sys
import time
from datetime import UTC, datetime
from urllib.parse import urlencode

from collector.errors import BadRedirect, BadSettings
from collector.ingest.policy.redirect import Signer, location, parse_expiry
from collector.settings import load_settings
from collector.settings.secret import load_secret


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the URL, its property and its expiry."""
    parser.add_argument("url", metavar="URL", help="destination of the click, not percent-encoded once more")
    parser.add_argument("--portal-id", type=int, required=True, metavar="N", help="portal of the link")
    parser.add_argument("--prop-id", type=int, required=True, metavar="N", help="property of that portal")
    parser.add_argument(
        "--expires",
        metavar="T",
        help="after 30d or 12h, or at 2026-12-31T00:00Z (UTC without an offset) or Unix ms; without it never",
    )
    parser.epilog = (
        "example: collector sign-url https://ads.example.com/ --portal-id 33167 --prop-id 564990801 --expires 30d"
    )


def run(options: argparse.Namespace) -> int:
    """Print the query parameters to add to the link."""
    settings = load_settings(options.config)
    portal_id, prop_id = options.portal_id, options.prop_id
    if (portal_id, prop_id) not in {(prop.portal_id, prop.prop_id) for prop in settings.property}:
        raise BadSettings(f"no property {portal_id}/{prop_id} in {options.config}; name one of its properties")
    try:
        location(options.url, frozenset(), is_signed=True)
        expires = parse_expiry(options.expires, int(time.time())) if options.expires else None
    except BadRedirect as error:
        print(f"collector: {error.refusal.message}; such a redirect would be refused", file=sys.stderr)
        return 2
    except UnicodeEncodeError:
        print(f"collector: URL: expected UTF-8, got {options.url!r:.80}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"collector: --expires: {error}", file=sys.stderr)
        return 2
    signature = Signer(load_secret(settings)).sign(options.url, portal_id, prop_id, expires)
    print(urlencode({"resp_type": "redirect", "redirect_url": options.url, "redirect_sig": signature}))
    print(f"valid for property {portal_id}/{prop_id} {_end(expires)}", file=sys.stderr)
    return 0


def _end(expires: int | None) -> str:
    if expires is None:
        return "without end"
    return f"until {datetime.fromtimestamp(expires, UTC):%Y-%m-%d %H:%M:%S} UTC"
