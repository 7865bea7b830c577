"""Settings that name a path which something else has, too."""

import pytest

from collector.ingest.dialects.table import served
from collector.settings import ServerSettings
from collector.settings.paths import DIALECT_PATHS

FREE = ("/t", "/c/hello", "/i2", "/t.jsx", "/t.xyz.js", "/v1", "/demonstration", "/hello.js")


def _faults(**settings: object) -> list[tuple[str, str]]:
    return [(fault.path, fault.message) for fault in ServerSettings(**settings).faults()]  # type: ignore[arg-type]


@pytest.mark.parametrize("path", FREE)
@pytest.mark.parametrize("name", ["alias", "snowplow_path", "health_path"])
def test_a_path_of_its_own_is_taken(name: str, path: str) -> None:
    assert _faults(**{name: path, "demo": "x"}) == []


@pytest.mark.parametrize(
    ("settings", "path", "owner"),
    [
        ({"alias": "/x", "health_path": "/x"}, "health_path", "/x is also server.alias"),
        ({"alias": "/x", "snowplow_path": "/x"}, "snowplow_path", "/x is also server.alias"),
        ({"snowplow_path": "/x", "health_path": "/x"}, "health_path", "/x is also server.snowplow_path"),
        ({"alias": "/healthz"}, "health_path", "/healthz is also server.alias"),
        ({"alias": "/i"}, "alias", "/i is also a path of the dialect snowplow"),
        ({"alias": "/track"}, "alias", "/track is also a path of the dialect posthog"),
        ({"alias": "/track/"}, "alias", "/track/ is also a path of the dialect posthog"),
        ({"health_path": "/matomo.php"}, "health_path", "/matomo.php is also a path of the dialect matomo"),
        ({"snowplow_path": "/v1/t"}, "snowplow_path", "/v1/t is also a path of the dialect segment"),
        ({"alias": "/x", "health_path": "/x.js"}, "health_path", "the page tracker's, because server.alias is /x"),
        ({"alias": "/x", "snowplow_path": "/x.0f.js"}, "snowplow_path", "the page tracker's"),
        ({"demo": "a", "alias": "/demo"}, "alias", "/demo is also the demo shop's"),
        ({"demo": "a", "alias": "/demo/shop"}, "alias", "/demo/shop is also the demo shop's"),
        ({"demo": "a", "health_path": "/demo/shop.js"}, "health_path", "/demo/shop.js is also the demo shop's"),
    ],
)
def test_a_path_that_something_else_has_is_a_fault_of_one_setting(
    settings: dict[str, object], path: str, owner: str
) -> None:
    ((at, message),) = _faults(**settings)
    assert at == path
    assert owner in message
    assert message.endswith("; choose another")


@pytest.mark.parametrize(
    "settings",
    [
        {"alias": "/track", "dialects": ("segment",)},
        {"alias": "/demo/shop"},
        {"snowplow_path": "/i"},
        {"health_path": ""},
    ],
)
def test_a_path_that_nothing_else_is_served_at_is_no_fault(settings: dict[str, object]) -> None:
    assert _faults(**settings) == []


def test_each_dialect_is_served_at_the_paths_of_the_table() -> None:
    assert {dialect.name: dialect.paths for dialect in served(ServerSettings())} == {
        name: paths for name, paths in DIALECT_PATHS.items() if paths
    }
