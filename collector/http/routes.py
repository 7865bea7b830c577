"""Which endpoint serves a path."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from collector.http.endpoint import AnyEndpoint


class Routes:
    """Endpoints by path. Those of a worker are replaced once its log is open."""

    def __init__(self, endpoints: dict[bytes, AnyEndpoint], not_found: AnyEndpoint) -> None:
        """Paths are without percent escapes; `not_found` serves all that are not there."""
        self._endpoints: Final = endpoints
        self._not_found = not_found

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._endpoints)

    def find(self, path: bytes) -> AnyEndpoint:
        """The endpoint of a path as it was sent."""
        endpoint = self._endpoints.get(path)  # looking up is cheaper than matching, and escapes are rare
        return endpoint or self._endpoints.get(unquote_to_bytes(path), self._not_found)

    def replace(self, path: bytes, endpoint: AnyEndpoint) -> None:
        """Serve a path by another endpoint from now on."""
        self._endpoints[path] = endpoint
