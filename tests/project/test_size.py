"""Sizes: what is long is split by sense, and what a type checker must not see is rare."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_FILES = sorted(path for package in ("wal", "collector", "tools") for path in (_ROOT / package).rglob("*.py"))
_MOST_LINES_OF_A_FILE = 250
_MOST_LINES_OF_A_FUNCTION = 45
_MOST_IGNORED_TYPES = 4


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file, with its lines: the signature and the docstring too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(_ROOT)} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_no_file_is_long() -> None:
    lines = {str(path.relative_to(_ROOT)): len(path.read_text().splitlines()) for path in _FILES}
    assert len(lines) > 200
    assert {name: count for name, count in lines.items() if count > _MOST_LINES_OF_A_FILE} == {}


def test_no_function_is_long() -> None:
    functions = [function for path in _FILES for function in _functions(path)]
    assert len(functions) > 1000
    assert [(name, count) for name, count in functions if count > _MOST_LINES_OF_A_FUNCTION] == []


def test_few_types_are_ignored() -> None:
    ignored = [str(path) for path in _FILES for _ in re.findall(r"# type: ignore", path.read_text())]
    assert len(ignored) <= _MOST_IGNORED_TYPES, ignored
