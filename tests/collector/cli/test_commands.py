"""The table of commands: each has its module, and calling one imports no other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from collector import cli
from wal import __version__

_HEAVY = (
    "rich",
    "shtab",
    "asyncio",
    "logging",
    "socket",
    "ssl",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "zstandard",
)
_OURS = ("collector.settings", "collector.settings", "collector.ingest", "collector.ship", "wal.files", "wal.log")


def _imported(*arguments: str) -> set[str]:
    """Run the command line in a new interpreter; returns the names of all modules that it imported."""
    program = (
        "import sys; from collector.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "usage: collector" in done.stdout
    return set(done.stderr.split())


def test_help_imports_neither_the_service_nor_a_library_of_it() -> None:
    assert _imported("--help") & {*_HEAVY, *_OURS} == set()


def test_help_of_a_command_imports_no_other_command() -> None:
    commands = {name.removeprefix("collector.cli.") for name in _imported("dead", "ls", "--help") if ".cli." in name}
    assert commands == {"dead_ls"}


@pytest.mark.parametrize("words", [words for words, _ in cli.COMMANDS])
def test_a_command_has_its_module_and_its_help(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = cli.command(words)
    assert callable(module.add_arguments)
    assert callable(module.run)
    with pytest.raises(SystemExit) as ended:
        cli.main([*words.split(), "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: collector {words} [-h] [--config FILE]" in out
    assert re.search(rf"\nexample\b.*\bcollector {words}\b", out), "its epilog is an example"


def test_every_module_that_runs_a_command_is_in_the_table() -> None:
    folder = Path(cli.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "\ndef run(" in path.read_text()}
    assert modules == {words.replace(" ", "_").replace("-", "_") for words, _ in cli.COMMANDS}


@pytest.mark.parametrize("words", [words for words, _ in cli.COMMANDS])
def test_a_command_that_takes_a_time_says_that_it_is_utc(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*words.split(), "--help"])
    out = capsys.readouterr().out
    assert (" T " in out.partition("options:")[2]) == ("UTC" in out and "Unix ms" in out)


def test_a_command_that_lists_prints_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    for words in [words for words, _ in cli.COMMANDS if words.endswith(" ls") or words == "count"]:
        with pytest.raises(SystemExit):
            cli.main([*words.split(), "--help"])
        assert "--json" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"collector {__version__}\n"
