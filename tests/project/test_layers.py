"""Who may import whom, read from the source itself."""

import ast
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MODULES = sorted(path for package in ("wal", "collector") for path in (_ROOT / package).rglob("*.py"))
_PURE = {
    *(f"wal/{name}.py" for name in ("format", "retention", "room")),
    *(f"collector/ingest/{name}.py" for name in ("decode", "session", "redirect", "cors", "answer", "envelope")),
    *(
        f"collector/ingest/{name}.py"
        for name in ("admission", "client", "cookie", "inflate", "privacy", "query", "rate")
    ),
}
_FORBIDDEN = {
    "wal/": ("collector", "starlette", "uvicorn", "msgspec"),
    "collector/ingest/": ("collector.ship", "collector.app", "collector.cli", "collector.shard"),
    "collector/ship/": ("collector.ingest", "collector.app", "collector.cli", "collector.shard"),
    "collector/ship/sinks/": ("starlette", "wal"),
}
_BOTH_SIDES = {f"collector/{name}.py" for name in ("app", "cli", "server", "shard")}


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its layer"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_module_imports_nothing_of_a_layer_that_it_must_not_know(path: Path) -> None:
    for folder, packages in _FORBIDDEN.items():
        if _name(path).startswith(folder):
            wrong = [each for each in _imports(path) if any(_is_below(each, package) for package in packages)]
            assert wrong == []


@pytest.mark.parametrize("name", sorted(_PURE))
def test_a_pure_module_asks_neither_clock_nor_disk_nor_loop(name: str) -> None:
    assert _imports(_ROOT / name) & {"os", "time", "asyncio", "random", "secrets", "socket", "threading"} == set()


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_sink_imports_no_other_sink(path: Path) -> None:
    if path.parent.name == "sinks" and path.stem != "__init__":
        assert [each for each in _imports(path) if _is_below(each, "collector.ship.sinks")] == []


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_only_the_root_knows_both_ways_that_data_goes(path: Path) -> None:
    knows = {side for side in ("ingest", "ship") for each in _imports(path) if _is_below(each, f"collector.{side}")}
    if path.parent.name not in ("ingest", "ship", "sinks") and len(knows) == 2:
        assert _name(path) in _BOTH_SIDES


@pytest.mark.parametrize("call", ["fsync", "fdatasync", "rename", "flock", "ftruncate", "posix_fallocate"])
def test_in_the_log_one_module_alone_calls_the_disk(call: str) -> None:
    callers = [_name(path) for path in _MODULES if _name(path).startswith("wal/") and f"os.{call}(" in path.read_text()]
    assert set(callers) <= {"wal/files.py"}


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_module_begins_by_saying_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
