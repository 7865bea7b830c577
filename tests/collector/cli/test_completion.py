"""The scripts of `completion`: bash reads them, and completes commands, options and paths."""

import subprocess
from pathlib import Path

import pytest

from tests.running import PATIENCE_SECONDS, PROGRAMS
from wal.tools.completion import SHELLS

# What a shell does at Tab: it splits the line, and calls the function that is registered for its first word.
_TAB = """
set -e
source <({program} completion bash)
COMP_LINE={line!r}
read -ra COMP_WORDS <<< "$COMP_LINE"
[[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_POINT=${{#COMP_LINE}}
function=$(complete -p {name} | sed -E 's/.*-F ([^ ]+).*/\\1/')
$function {name} "${{COMP_WORDS[-1]}}" || true
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def _completed(line: str, folder: Path) -> set[str]:
    """The words that bash offers at the end of a line."""
    name = line.split(maxsplit=1)[0]
    program = _TAB.format(program=PROGRAMS / name, name=name, line=line)
    command = ["bash", "--norc", "-c", program]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("wal ve", {"verify"}),
        ("wal cat --wh", {"--where"}),
        ("wal ls l", {"logs"}),
        ("collector si", {"sink", "sign-url"}),
        ("collector sink ", {"ls", "drop"}),
        ("collector count --li", {"--limit"}),
        ("collector dead ls --js", {"--json"}),
        ("collector check --config s", {"settings.toml"}),
    ],
)
def test_bash_completes(tmp_path: Path, line: str, expected: set[str]) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "settings.toml").touch()
    assert expected <= _completed(line, tmp_path)


@pytest.mark.parametrize(("name", "words"), [("wal", ("verify", "where")), ("collector", ("redrive", "sink"))])
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_that_names_commands_and_options(
    name: str, words: tuple[str, ...], shell: str
) -> None:
    command = [str(PROGRAMS / name), "completion", shell]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.stderr == ""
    assert all(word in done.stdout for word in words)
