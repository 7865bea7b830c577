"""Who may import whom and call what, read from the source itself.

`LAYERS` is the table of the layers. A module has the row of the longest prefix of its name, and may import what
is below the prefix of its own row and below those that the row names.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MODULES = sorted(path for package in ("wal", "collector") for path in (_ROOT / package).rglob("*.py"))
_BOTTOM = ("collector.errors", "collector.settings", "wal")
LAYERS = {
    "wal": (),
    "collector.errors": (),
    "collector.process_log": ("wal.tools.terminal",),
    "collector.ops": ("collector.process_log",),
    "collector.ops.audit": (
        "collector.dead_letters.ledger",
        "collector.dead_letters.reader",
        "collector.errors",
        "collector.ops.event_property",
        "collector.settings",
        "collector.shards.copies",
        "collector.ship",
        "wal",
    ),
    "collector.ops.console": (
        "collector.dead_letters",
        "collector.errors",
        "collector.ingest.accounts.settling",
        "collector.ops",
        "collector.process_log",
        "collector.server.node_state",
        "collector.settings",
        "collector.ship",
        "collector.web",
        "wal",
    ),
    "collector.ops.event_property": ("collector.errors",),
    "collector.ops.own_port": ("collector.settings",),
    "collector.ops.status": ("collector.settings", "collector.ship.status", "wal"),
    "collector.ops.metrics": ("collector.ops", "collector.settings"),
    "collector.ops.metrics_of_disk": ("collector.ops", "collector.settings", "collector.ship.health", "wal"),
    "collector.acknowledgements": (),
    "collector.long_work": (),
    "collector.nesting": (),
    "collector.ops.gauges": ("collector.dedup.index", "collector.ops"),
    "collector.http": (
        "collector.errors",
        "collector.ops",
        "collector.process_log",
        "collector.settings",
        "wal.errors",
    ),
    "collector.settings": ("collector.errors", "wal"),
    "collector.relays": ("collector.errors", "collector.ops", "wal"),
    "collector.dedup": ("collector.settings.dedup", "wal"),
    "collector.dead_letters": (
        "collector.errors",
        "collector.nesting",
        "collector.long_work",
        "collector.ops",
        "collector.process_log",
        "wal",
    ),
    "collector.dead_letters.of_sinks": ("collector.dead_letters", "collector.errors", "collector.ship.batch"),
    "collector.dead_letters.rules": (
        "collector.dead_letters",
        "collector.errors",
        "collector.ingest",
        "collector.ingest.policy.properties",
        "collector.settings",
    ),
    "collector.dead_letters.redrive": (
        *_BOTTOM,
        "collector.dead_letters",
        "collector.ingest",
        "collector.shards",
    ),
    "collector.ingest": (
        *_BOTTOM,
        "collector.acknowledgements",
        "collector.dead_letters.content",
        "collector.dead_letters.writer",
        "collector.dedup",
        "collector.long_work",
        "collector.nesting",
        "collector.ops",
        "collector.http",
        "collector.process_log",
        "collector.relays.marks",
    ),
    "collector.ship": (
        *_BOTTOM,
        "collector.acknowledgements",
        "collector.dead_letters.reader",
        "collector.process_log",
    ),
    "collector.ship.sinks": ("collector.errors", "collector.settings", "collector.ship"),
    "collector.shards": (
        *_BOTTOM,
        "collector.dedup",
        "collector.acknowledgements",
        "collector.process_log",
        "collector.ship",
    ),
    "collector.shards.opening": (
        "collector.dead_letters",
        "collector.dedup",
        "collector.ops",
        "collector.process_log",
        "collector.settings",
        "collector.shards",
        "wal",
    ),
    "collector.shards.readiness": ("collector.ops.readiness", "wal.committer"),
    "collector.web": ("collector.http", "collector.settings"),
    "collector.app": ("collector", "wal"),
    "collector.background": ("collector", "wal"),
    "collector.endpoints": ("collector",),
    "collector.asgi": (
        "collector.app",
        "collector.errors",
        "collector.process_log",
        "collector.settings",
    ),
    "collector.server": ("collector", "wal"),
    "collector.cli": ("collector", "wal"),
}
ROOMS = {
    "collector.ingest": ("fields", "bodies", "policy", "accounts", "storing", "dialects"),
    "collector.ops.console": (
        *("api", "rows", "access", "lookup", "letters", "jobs"),
        *("node", "accounts", "live", "try_event"),
    ),
}
"""The folders in a folder, in an order in which each imports only those before it, and modules beside them."""
LIBRARIES = {
    "aiohttp": ("collector.ship.sinks.http",),
    "confluent_kafka": ("collector.ship.sinks.kafka",),
    "httptools": ("collector.http",),
    "lmdb": ("collector.dedup",),
    "msgspec": ("collector",),
    "obstore": ("collector.ship.sinks.objects",),
    "prometheus_client": ("collector.ops.metrics",),
    "pyarrow": ("collector.ship.formats.parquet",),
    "rich": ("wal.tools.tables",),
    "shtab": ("wal.tools.completion",),
    "starlette": (
        "collector.app",
        "collector.asgi",
        "collector.http.application",
        "collector.http.asgi",
        "collector.ops.console",
        "collector.server.admin",
        "collector.server.admin_app",
        "collector.server.admin_connection",
    ),
    "uvicorn": ("collector.server.admin", "collector.server.worker"),
}
"""The prefixes of modules that may import a library."""
_ALSO_PURE = {
    *(f"collector/http/{name}.py" for name in ("parser", "request", "status")),
    *(f"collector/ingest/dialects/{name}/dialect.py" for name in ("cloudevents", "posthog")),
    "collector/ingest/policy/write_keys.py",
    *(f"collector/ops/console/{name}.py" for name in ("api/parameters", "live/ring")),
    "collector/ops/notices.py",
    *(f"collector/settings/{name}.py" for name in ("effects", "faults")),
    "collector/ship/batch.py",
    "collector/web/demo.py",
}
"""Modules that are pure without a word of it."""
_PURE = _ALSO_PURE | {
    path.relative_to(_ROOT).as_posix()
    for path in _MODULES
    if re.search(r"\bpure\b", ast.get_docstring(ast.parse(path.read_text())) or "", re.IGNORECASE)
}
_DISK_CALLS = ("os.fsync", "os.fdatasync", "os.rename", "os.ftruncate", "os.writev", "fcntl.flock", "fallocate")


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


@cache
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


def _module(path: Path) -> str:
    """The name that a file is imported by; of a package's own file that of the package."""
    return ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")


_NAMES = {_module(path) for path in _MODULES}


def _row(module: str) -> str:
    """The prefix of the row that a module has."""
    return max((prefix for prefix in LAYERS if _is_below(module, prefix)), key=len, default="")


def _ours(path: Path) -> set[str]:
    """Every module of our own that a file imports, but for the package `collector`, which holds nothing."""
    ours = [each for each in _imports(path) if _is_below(each, "wal") or _is_below(each, "collector")]
    return {_known(each) for each in ours} - {"collector"}


def _known(name: str) -> str:
    """The longest prefix of a dotted name that is a module."""
    while name not in _NAMES:
        name = name.rpartition(".")[0]
    return name


def _below(folder: str) -> list[Path]:
    return [path for path in _MODULES if _name(path).startswith(folder)]


@pytest.mark.parametrize("path", [each for each in _MODULES if _module(each) != "collector"], ids=_name)
def test_a_module_imports_no_layer_that_it_must_not_know(path: Path) -> None:
    row = _row(_module(path))
    assert row, "a module belongs to a layer: give it a row"
    allowed = (row, *LAYERS[row])
    assert [each for each in _ours(path) if not any(_is_below(each, prefix) for prefix in allowed)] == []


@pytest.mark.parametrize("row", LAYERS)
def test_a_row_names_what_its_modules_import_and_no_more(row: str) -> None:
    modules = [path for path in _MODULES if _row(_module(path)) == row]
    assert modules
    imported = {each for path in modules for each in _ours(path)}
    assert [each for each in LAYERS[row] if not any(_is_below(name, each) for name in imported)] == []


@pytest.mark.parametrize("folder", ROOMS)
def test_a_folder_imports_no_folder_after_it(folder: str) -> None:
    rooms = [f"{folder}.{room}" for room in ROOMS[folder]]
    packages = {_module(path) for path in _MODULES if path.stem == "__init__"}
    assert {package for package in packages if package.rpartition(".")[0] == folder} == set(rooms)
    for place, room in enumerate(rooms):
        imported = {each for path in _MODULES if _is_below(_module(path), room) for each in _ours(path)}
        assert [each for each in imported if any(_is_below(each, later) for later in rooms[place + 1 :])] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    importers = [_module(path) for path in _MODULES if any(_is_below(each, library) for each in _imports(path))]
    assert importers
    assert [each for each in importers if not any(_is_below(each, prefix) for prefix in LIBRARIES[library])] == []


@pytest.mark.parametrize("name", sorted(_PURE))
def test_a_pure_module_asks_neither_clock_nor_disk_nor_loop(name: str) -> None:
    assert _imports(_ROOT / name) & {"os", "time", "asyncio", "random", "secrets", "socket", "threading"} == set()


@pytest.mark.parametrize(
    "path", [each for each in _below("collector/ship/sinks/") if each.stem != "__init__"], ids=_name
)
def test_a_sink_imports_no_other_sink(path: Path) -> None:
    sinks = _ROOT / "collector/ship/sinks"
    own = f"collector.ship.sinks.{path.relative_to(sinks).with_suffix('').parts[0]}"
    others = [each for each in _imports(path) if _is_below(each, "collector.ship.sinks") and not _is_below(each, own)]
    assert others == []


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
