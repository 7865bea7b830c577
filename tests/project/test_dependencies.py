"""uvicorn's private names are overridden: the versions that are allowed are those that have been tried."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_ROOT = Path(__file__).parents[2]


def _requirement(name: str) -> Requirement:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    (found,) = [each for each in map(Requirement, project["dependencies"]) if each.name == name]
    return found


def test_the_uvicorn_that_is_tested_is_of_the_newest_minor_release_that_is_allowed() -> None:
    tested = Version(version("uvicorn"))
    allowed = _requirement("uvicorn").specifier
    assert tested in allowed
    assert f"0.{tested.minor + 1}" not in allowed


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (HttpToolsProtocol, "_start_asgi_task on_message_begin on_headers_complete on_response_complete on_body"),
        (RequestResponseCycle, "run_asgi receive send"),
    ],
)
def test_uvicorn_has_the_names_that_are_overridden_or_called(kind: type, names: str) -> None:
    assert [name for name in names.split() if not hasattr(kind, name)] == []
