"""The table of the process log's events is whole: no line goes past it, and no event in it is unused."""

import ast
import logging
import re
import string
from pathlib import Path

import pytest

from collector.process_log.event import ProcessLogEvent, name_of
from collector.process_log.of_libraries import Library
from collector.process_log.table import EVENTS, event_of

_ROOT = Path(__file__).parents[3]
_OWN = _ROOT / "collector/process_log"
_TREES = {
    path.relative_to(_ROOT).as_posix(): ast.parse(path.read_text())
    for path in (_ROOT / "collector").rglob("*.py")
    if _OWN not in path.parents
}
_LOGGING = {
    "collector/cli/replay.py": "prints to the terminal of a command",
    "collector/ship/sinks/kafka/transactions.py": "gives a library its logger",
}
_MEMBERS = {"time", "level", "event", "pid", "message", "exception", "left_out"}
_OF_WAL = {"cursor_damaged", "disk_low", "segments_given_up"}
_OF_LIBRARIES = {"library"}

_STREAMS = ("sys.stderr", "sys.stdout")


def _names(tree: ast.AST) -> set[str]:
    """All names that a module uses, besides those that it only imports."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _imports_logging(tree: ast.AST) -> bool:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in imports for alias in node.names] + froms
    return any(name.partition(".")[0] in ("logging", "warnings") for name in names)


def test_no_module_logs_past_the_table() -> None:
    assert {path for path, tree in _TREES.items() if _imports_logging(tree)} == set(_LOGGING)


def test_only_commands_print() -> None:
    service = {path: tree for path, tree in _TREES.items() if not path.startswith("collector/cli/")}
    printing = [path for path, tree in service.items() if "print" in _names(tree)]
    written = [
        path
        for path, tree in service.items()
        if any(isinstance(node, ast.Attribute) and ast.unparse(node) in _STREAMS for node in ast.walk(tree))
    ]
    assert (printing, written) == ([], [])


def test_every_event_is_used() -> None:
    used = set().union(*map(_names, _TREES.values())) | set().union(
        *(_names(ast.parse((_OWN / name).read_text())) for name in ("output.py",))
    )
    assert {name_of(event) for event in EVENTS if event.__name__ not in used} == _OF_WAL | _OF_LIBRARIES


def test_every_name_is_there_once() -> None:
    names = [name_of(event) for event in EVENTS]
    assert len(set(names)) == len(names) > 50
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    assert {"worker_died", "shedding_began", "unknown_property", "sink_down", "ready", "stopping"} <= set(names)


@pytest.mark.parametrize("event", EVENTS, ids=name_of)
def test_an_event_has_a_meaning_fields_for_its_text_and_a_page_if_somebody_must_act(
    event: type[ProcessLogEvent],
) -> None:
    assert re.fullmatch(r"[A-Z`].*\.", (event.__doc__ or "").strip(), re.DOTALL), "sentences"
    assert {name for _, name, _, _ in string.Formatter().parse(event.text) if name} <= set(event.__struct_fields__)
    assert not set(event.__struct_fields__) & _MEMBERS
    assert event.page is None or re.fullmatch(r"Tracklog([A-Z][a-z]+)+", event.page)
    assert event.page or event.level <= logging.WARNING, "an error leads to a page of the runbook"
    assert event.level > logging.INFO or event.page is None, "an info line needs nobody"


def _calls_of_loggers(path: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in ("logger", "logging")
        and call.func.attr != "getLogger"
    ]


def test_all_that_the_log_itself_logs_is_an_event_with_its_arguments_as_fields() -> None:
    found = set()
    for path in sorted((_ROOT / "wal").rglob("*.py")):
        calls = _calls_of_loggers(path)
        if not calls:
            continue
        (call,) = calls  # the event is known by the logger alone, so a module has one
        assert isinstance(call.func, ast.Attribute)
        template, *arguments = call.args
        logger = ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        level = getattr(logging, call.func.attr.upper())
        values = tuple(range(len(arguments)))
        record = logging.LogRecord(logger, level, "", 0, ast.literal_eval(template), values, None)
        event = event_of(record)
        assert not isinstance(event, Library), path
        assert (str(event), event.level) == (record.getMessage(), level)
        assert len(event.__struct_fields__) == len(arguments)
        found.add(name_of(type(event)))
    assert found == _OF_WAL
