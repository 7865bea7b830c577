"""The files around the code: the license, the changes, the verbs of the Makefile, the hooks."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import wal

_ROOT = Path(__file__).parents[2]
_VERSION_LINE = r"""^__version__ ?= ?(['"])(?P<version>.+?)\1"""
"""hatchling's own pattern in short: a type annotation after the name would hide the version from it."""


def test_the_license_is_the_one_that_the_metadata_names() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    text = (_ROOT / "LICENSE").read_text()
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
    assert "Apache License\n                           Version 2.0" in text
    assert "Copyright 2026 The Tracklog authors" in text


@pytest.mark.parametrize("package", ["collector", "wal"])
def test_a_package_tells_type_checkers_that_it_has_types(package: str) -> None:
    assert (_ROOT / package / "py.typed").exists()


def test_the_version_is_read_from_the_code() -> None:
    path = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"]["path"]
    found = re.search(_VERSION_LINE, (_ROOT / path).read_text(), re.MULTILINE)
    assert found
    assert found["version"] == wal.__version__


def test_wal_prints_its_version() -> None:
    command = [sys.executable, "-c", "from wal.tools.cli import main; main(['--version'])"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"wal {wal.__version__}\n"


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    assert re.findall(r"^## \[(.+)\]", (_ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == "Unreleased"


@pytest.mark.parametrize("arguments", [[], ["help"]])
def test_make_lists_every_verb(arguments: list[str]) -> None:
    makefile = (_ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    printed = subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert sorted(line.split()[1] for line in printed.splitlines()) == sorted(phony.split())


def test_the_hooks_run_the_tools_of_the_project_and_fetch_nothing() -> None:
    text = (_ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    assert all(entry.startswith(".venv/bin/") for entry in re.findall(r"entry: (.+)", text))
