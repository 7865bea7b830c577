"""uvicorn says little of how it calls an HTTP protocol: only versions that have been tried are allowed."""

import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

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
