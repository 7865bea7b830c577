"""The versions of the SDKs that are tried are pinned, and no file names where they come from."""

import json
import re
from pathlib import Path

_HERE = Path(__file__).parent
_VERSION = re.compile(r"\d+(\.\d+)+")


def test_the_sdks_of_npm_are_pinned_and_the_lock_names_no_registry() -> None:
    named = json.loads((_HERE / "package.json").read_text())["dependencies"]
    locked = json.loads((_HERE / "package-lock.json").read_text())["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in named} == named
    assert [name for name, package in locked.items() if "resolved" in package] == []


def test_the_sdks_for_python_and_what_they_need_are_pinned() -> None:
    lines = [line for line in (_HERE / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 5
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9a-z.]+", line)] == []


def test_the_sdks_of_maven_are_pinned_and_the_project_names_no_repository() -> None:
    text = (_HERE / "pom.xml").read_text()
    versions = re.findall(r"</artifactId>\s*<version>([^<]+)</version>", text)
    assert len(versions) == text.count("<artifactId>")
    assert [version for version in versions[1:] if not _VERSION.fullmatch(version)] == []
    assert "epositor" not in text
