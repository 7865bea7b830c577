"""Names: one thing has one name, and no other thing has it."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_MODULES = sorted(path for package in ("collector", "wal") for path in (_ROOT / package).rglob("*.py"))
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_REPLACED_WORDS = frozenset(("told", "said", "asked", "wanted", "breath", "repose"))
"""Words of names that say how a thing came about, not what it is."""


def _public_classes(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def _names_in(node: ast.AST) -> list[str]:
    """The names that a node defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return [name]
        case ast.alias(asname=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return [name]
    return []


def _unfit(name: str) -> bool:
    return name == "each" or any(word.lower() in _REPLACED_WORDS for word in _WORD.findall(name))


def _unfit_names(path: Path) -> Iterator[str]:
    """The module and the unfit names that it defines, `path:line: name`."""
    place = path.relative_to(_ROOT).as_posix()
    if _unfit(path.stem):
        yield place
    for node in ast.walk(ast.parse(path.read_text())):
        for name in filter(_unfit, _names_in(node)):
            yield f"{place}:{getattr(node, 'lineno', 0)}: {name}"


def test_no_two_public_classes_have_one_name() -> None:
    modules = defaultdict(list)
    for path in _MODULES:
        for name in _public_classes(path):
            modules[name].append(path.relative_to(_ROOT).as_posix())
    assert "Settings" in modules
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}


def test_names_say_what_a_thing_is() -> None:
    assert [found for path in _MODULES for found in _unfit_names(path)] == []


def test_the_words_of_a_name_end_at_underscores_and_capitals() -> None:
    unfit = ("each", "told", "_is_told", "TOLD", "_NOTHING_TOLD", "JobWanted", "wantedJob", "asked_2", "HTTPSaid")
    assert [name for name in unfit if not _unfit(name)] == []
    assert [name for name in ("reach", "each_sink", "retold", "asking", "unwanted", "Aside") if _unfit(name)] == []
