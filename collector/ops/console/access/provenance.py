"""Which page sent a request, as far as the browser tells, pure.

Cookies do not know ports, and a page of another port of this host is "same-site": SameSite does not stop it.
"""

from enum import Enum, auto
from typing import Final

from starlette.datastructures import Headers

_OWN_SITES: Final = frozenset(("same-origin", "none"))
"""Values of `Sec-Fetch-Site`. `none`: a person used the address bar or a bookmark, so that no page is involved."""


class Provenance(Enum):
    """The page that sent a request."""

    OWN = auto()
    """A page of this address, or a person."""
    FOREIGN = auto()
    """A page of another origin, be it another port of this host."""
    UNKNOWN = auto()
    """A program, or a GET of a browser over plain HTTP, which may be of any page that can't read the response."""


def provenance(headers: Headers) -> Provenance:
    """Judge by `Sec-Fetch-Site`, which no page can set; without it by `Origin`, which must name this host."""
    if sites := headers.getlist("sec-fetch-site"):
        return Provenance.OWN if _OWN_SITES.issuperset(sites) else Provenance.FOREIGN
    origins = headers.getlist("origin")
    if not origins:
        return Provenance.UNKNOWN
    host = headers.get("host", "").lower()
    is_own = all(origin in (f"http://{host}", f"https://{host}") for origin in origins)
    return Provenance.OWN if is_own else Provenance.FOREIGN
