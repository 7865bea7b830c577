"""Who may import whom and call what, read from the source itself.

Every case is of a module that its rule is about: a case that asserts nothing for its module would be no test.
"""

import ast
import importlib.util
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MODULES = sorted(path for package in ("wal", "collector") for path in (_ROOT / package).rglob("*.py"))
_PURE = {
    *(f"wal/{name}.py" for name in ("format", "cursor", "retention", "room", "tools/select")),
    *(f"collector/ingest/{name}.py" for name in ("decode", "session", "redirect", "cors", "answer", "envelope")),
    *(
        f"collector/ingest/{name}.py"
        for name in ("admission", "client", "cookie", "inflate", "privacy", "query", "rate")
    ),
    *(f"collector/{name}.py" for name in ("notices", "settings_faults", "ship/credentials")),
}
_FORBIDDEN = {
    "wal/": ("collector", "starlette", "uvicorn", "msgspec"),
    "collector/ingest/": ("collector.ship", "collector.app", "collector.cli", "collector.shard"),
    "collector/ship/": ("collector.ingest", "collector.app", "collector.cli", "collector.shard"),
    "collector/ship/sinks/": ("starlette", "wal"),
}
_MAY_KNOW_BOTH_SIDES = {f"collector/{name}.py" for name in ("app", "cli", "server", "shard")}
_DISK_CALLS = ("os.fsync", "os.fdatasync", "os.rename", "os.ftruncate", "os.writev", "fcntl.flock", "fallocate")


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    return _imports_of(ast.parse(path.read_text()))


def _imports_of(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import hides its layer"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _names_used(tree: ast.AST) -> set[str]:
    """Every `module.name` that a source has, `name` alone where it is of no module, and every name that it imports."""
    found = _imports_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else node.attr)
    return found


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _below(*folders: str) -> list[Path]:
    return [path for path in _MODULES if _name(path).startswith(folders)]


def _of_one_side() -> list[Path]:
    """The modules of neither way that data goes, but for those that may know both."""
    ways = _below("collector/ingest/", "collector/ship/")
    return [path for path in _MODULES if path not in ways and _name(path) not in _MAY_KNOW_BOTH_SIDES]


@pytest.mark.parametrize(
    ("name", "packages"),
    [(_name(path), packages) for folder, packages in _FORBIDDEN.items() for path in _below(folder)],
)
def test_a_module_imports_nothing_of_a_layer_that_it_must_not_know(name: str, packages: tuple[str, ...]) -> None:
    path = _ROOT / name
    assert [each for each in _imports(path) if any(_is_below(each, package) for package in packages)] == []


@pytest.mark.parametrize("path", [path for path in _below("wal/") if path not in _below("wal/tools/")], ids=_name)
def test_the_log_works_without_its_tools(path: Path) -> None:
    assert [module for module in _imports(path) if _is_below(module, "wal.tools")] == []


@pytest.mark.parametrize("folder", _FORBIDDEN)
def test_a_rule_is_about_modules_and_packages_that_there_are(folder: str) -> None:
    assert _below(folder)
    assert [package for package in _FORBIDDEN[folder] if importlib.util.find_spec(package) is None] == []


@pytest.mark.parametrize("name", sorted(_PURE))
def test_a_pure_module_asks_neither_clock_nor_disk_nor_loop(name: str) -> None:
    assert _imports(_ROOT / name) & {"os", "time", "asyncio", "random", "secrets", "socket", "threading"} == set()


@pytest.mark.parametrize(
    "path", [each for each in _below("collector/ship/sinks/") if each.stem != "__init__"], ids=_name
)
def test_a_sink_imports_no_other_sink(path: Path) -> None:
    assert [each for each in _imports(path) if _is_below(each, "collector.ship.sinks")] == []


@pytest.mark.parametrize("path", _of_one_side(), ids=_name)
def test_only_the_root_knows_both_ways_that_data_goes(path: Path) -> None:
    knows = {side for side in ("ingest", "ship") for each in _imports(path) if _is_below(each, f"collector.{side}")}
    assert len(knows) < 2


@pytest.mark.parametrize("call", _DISK_CALLS)
def test_in_the_log_one_module_alone_calls_the_disk(call: str) -> None:
    assert [_name(path) for path in _below("wal/") if call in _names_used(ast.parse(path.read_text()))] == [
        "wal/files.py"
    ]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import fcntl\nfcntl.flock(1, 2)", "fcntl.flock"),
        ("from fcntl import flock as lock", "fcntl.flock"),
        ("import ctypes\nctypes.CDLL(None).fallocate(1)", "fallocate"),
        ("def f():\n    from os import fsync", "os.fsync"),
    ],
)
def test_a_call_is_seen_however_it_is_written(source: str, name: str) -> None:
    assert name in _names_used(ast.parse(source))


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_module_begins_by_saying_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
