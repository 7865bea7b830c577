"""Routes: the endpoint that serves a path, by the path itself or by a pattern."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from collector.http.endpoint import AnyEndpoint


class Routes:
    """Endpoints by path. A worker replaces its endpoints when its log is open."""

    def __init__(self, endpoints: dict[bytes, AnyEndpoint], not_found: AnyEndpoint) -> None:
        """Paths have no percent escapes; `not_found` serves all other paths."""
        self._endpoints: Final = endpoints
        self._patterns: dict[bytes, re.Pattern[bytes]] = {}
        self._not_found = not_found

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._endpoints)

    def find(self, path: bytes) -> AnyEndpoint:
        """The endpoint of a path as sent, with or without percent escapes."""
        endpoint = self._endpoints.get(path)  # a look-up is cheaper than unescaping, and escapes are rare
        return endpoint or self._endpoints.get(self.known(path) or b"", self._not_found)

    def known(self, path: bytes) -> bytes | None:
        """The path, or the name of the pattern, that serves a path as sent; None if none does."""
        plain = unquote_to_bytes(path)
        known = next((candidate for candidate in (path, plain) if candidate in self._endpoints), None)
        return known or next((name for name, pattern in self._patterns.items() if pattern.fullmatch(plain)), None)

    def replace(self, path: bytes, endpoint: AnyEndpoint) -> None:
        """Serve a path with another endpoint from now on."""
        self._endpoints[path] = endpoint

    def match(self, name: bytes, pattern: re.Pattern[bytes]) -> None:
        """Serve all paths that a pattern matches whole as the path `name`, which a name in the routes stands for."""
        self._patterns[name] = pattern
