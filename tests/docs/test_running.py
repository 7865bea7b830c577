"""Every command that a page shows is run, and prints what the page shows; every other block is valid."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest

from bench.processes import free_port
from collector.settings import Settings
from collector.settings.faults import read_leniently
from tests.destinations.objects import Moto
from tests.docs.pages import COPIES, README, Block, Page, pages, read_page
from tests.docs.shell import Shell, shell
from tests.kafka.mock import MockCluster
from tests.running import eventually

SKIPPED = {
    "make run sets up a virtual environment",
    "its tables and its sink are run by tests/collector/ship/test_clickhouse.py",
    "it needs Docker",
    "it needs a cluster",
    "it needs systemd",
    "tests/clients runs it",
    "tests/clients/test_recipes.py runs it",
    "tests/contract runs it",
    "tests/docs/test_each_event_once.py runs it",
    "tests/deploy/test_monitoring.py runs it",
    "tests/deploy/test_proxies.py runs it",
    "tests/project/test_readme.py runs it",
}
"""The only reasons for which a block is not run."""
_PORT = re.compile(r"(?:127\.0\.0\.1:|port = )(\d{4,5})\b")
_ADMIN = "8081"
"""The default of admin.port. Pages that do not show it take any."""
_RUN = ("console", "python", "sql")
_PAGES = {each.name: each for each in [read_page(README), *pages()]}
_BLOCKS = [
    pytest.param(block, id=f"{name}-{number}")
    for name, page in _PAGES.items()
    if not name.startswith(COPIES)
    for number, block in enumerate(page.blocks)
]


def _is_run(page: Page) -> bool:
    return any(block.language in _RUN and not block.skip for block in page.blocks)


@pytest.mark.parametrize("name", [name for name, page in _PAGES.items() if _is_run(page)])
def test_the_commands_of_a_page_print_what_it_shows(name: str, tmp_path: Path) -> None:
    page = _PAGES[name]
    with ExitStack() as stack:
        ports = _ports(page, stack, tmp_path)
        run = stack.enter_context(shell(tmp_path, ports.get(_ADMIN, "0")))
        for block in page.blocks:
            if not block.skip:
                _try(block._replace(text=_with_ports(block.text, ports)), run, tmp_path)


def _ports(page: Page, stack: ExitStack, folder: Path) -> dict[str, str]:
    """The ports that take the place of those on the page: free ones, or those of the servers that it asks for."""
    ports = {port: str(free_port()) for block in page.blocks for port in _PORT.findall(block.text)}
    if page.about.get("needs") == "kafka":
        cluster = MockCluster("events.web", "tracklog.cursors")
        stack.callback(cluster.close)
        ports["9092"] = cluster.address.rpartition(":")[2]
    if page.about.get("needs") == "s3":
        moto = Moto(folder)
        stack.callback(moto.close)
        ports["9000"] = str(moto.port)
    return ports


def _with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(r"\b\d{4,5}\b", lambda found: ports.get(found[0], found[0]), text)


def _try(block: Block, run: Shell, folder: Path) -> None:
    if block.title:
        (folder / block.title).write_text(_hurried(block.text))
    elif block.language == "console":
        for command, expected in _commands(block.text):
            run.check(command, expected)
    elif block.language == "sql":
        eventually(lambda: _rows(block.text, folder), f"a row of {block.text}")
    elif block.language == "python":
        subprocess.run([sys.executable, "-c", block.text], cwd=folder, check=True, timeout=30)


def _hurried(settings: str) -> str:
    """The same with file sinks that do not wait five seconds for more events."""
    tables = settings.split("[[sink]]")
    return "[[sink]]".join(
        each if "flush_seconds" in each else each.replace('"file"\n', '"file"\nflush_seconds = 0.1\n')
        for each in tables
    )


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(at for at, line in enumerate(lines) if not line.endswith("\\")) + 1
        yield "\n".join(lines[:end]), "\n".join(lines[end:])


def _rows(query: str, folder: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        connection.execute(f"SET file_search_path = '{folder}'")
        try:
            return connection.execute(query).fetchall()
        except duckdb.IOException:  # the sink has written no file yet
            return []


@pytest.mark.parametrize("block", _BLOCKS)
def test_a_block_is_valid(block: Block) -> None:
    if block.language == "toml":
        values = tomllib.loads(block.text)
        assert read_leniently(values, Settings)[1] == []
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "python":
        compile(block.text, "block", "exec")
    elif block.language == "sh":
        subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    else:
        assert block.language in {"console", "html", "java", "js", "sql", "text"}, "a fence names its language"


def test_a_block_is_skipped_for_a_known_reason_alone() -> None:
    reasons = {block.skip for page in _PAGES.values() for block in page.blocks if block.skip}
    assert reasons == SKIPPED
