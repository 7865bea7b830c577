"""The page that sent a request."""

import pytest
from starlette.datastructures import Headers

from collector.ops.console.access.provenance import Provenance, provenance

_HOST = ("host", "127.0.0.1:8081")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Provenance.UNKNOWN),
        ([("sec-fetch-site", "same-origin")], Provenance.OWN),
        ([("sec-fetch-site", "none")], Provenance.OWN),
        ([("sec-fetch-site", "same-site")], Provenance.FOREIGN),
        ([("sec-fetch-site", "cross-site")], Provenance.FOREIGN),
        ([("sec-fetch-site", "")], Provenance.FOREIGN),
        ([("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], Provenance.FOREIGN),
        ([("sec-fetch-site", "same-origin, none")], Provenance.FOREIGN),
        ([("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8081")], Provenance.FOREIGN),
        ([("origin", "http://127.0.0.1:8081")], Provenance.OWN),
        ([("origin", "https://127.0.0.1:8081")], Provenance.OWN),
        ([("origin", "http://127.0.0.1:8080")], Provenance.FOREIGN),
        ([("origin", "http://127.0.0.1")], Provenance.FOREIGN),
        ([("origin", "http://127.0.0.1:8081.evil.example")], Provenance.FOREIGN),
        ([("origin", "http://localhost:8081")], Provenance.FOREIGN),
        ([("origin", "null")], Provenance.FOREIGN),
        ([("origin", "")], Provenance.FOREIGN),
        ([("origin", "http://127.0.0.1:8081"), ("origin", "null")], Provenance.FOREIGN),
        ([("referer", "http://evil.example/")], Provenance.UNKNOWN),
    ],
)
def test_fetch_metadata_decides_and_without_it_the_origin(headers: list[tuple[str, str]], expected: Provenance) -> None:
    raw = [(name.encode(), value.encode()) for name, value in [_HOST, *headers]]
    assert provenance(Headers(raw=raw)) is expected
