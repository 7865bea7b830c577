"""Names: one thing has one name, and no other thing has it."""

import ast
from collections import defaultdict
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def _public_classes(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def test_no_two_public_classes_have_one_name() -> None:
    modules = defaultdict(list)
    for package in ("collector", "wal"):
        for path in sorted((_ROOT / package).rglob("*.py")):
            for name in _public_classes(path):
                modules[name].append(path.relative_to(_ROOT).as_posix())
    assert "Settings" in modules
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}
