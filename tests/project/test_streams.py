"""Commands whose stdout is full or closed: nothing is lost in silence, and nothing ends in a traceback."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.running import PROGRAMS

_SETTINGS = """
[[property]]
portal_id = 1
prop_id = 1
[[sink]]
type = "file"
dir = "data/events"
"""


def _run(words: Sequence[str], folder: Path, streams: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with the shell's redirections of its streams, and with stdout buffered as at a user's."""
    (folder / "collector.toml").write_text(_SETTINGS)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    line = f"exec {PROGRAMS}/{' '.join(words)} {streams}"
    return subprocess.run(["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["collector check --show", "collector --help", "wal completion zsh", "wal --help"])
def test_what_does_not_fit_on_a_disk_is_an_error(tmp_path: Path, words: str) -> None:
    done = _run(words.split(), tmp_path, ">/dev/full")
    program = words.partition(" ")[0]
    assert done.returncode == 1
    assert done.stderr.endswith(f"{program}: [Errno 28] No space left on device: 'stdout'\n")


@pytest.mark.parametrize("words", ["collector sink ls", "collector count", "collector dead ls", "wal verify data/log"])
def test_closed_streams_are_as_good_as_dev_null(tmp_path: Path, words: str) -> None:
    usual = _run(words.split(), tmp_path, "")
    for streams in (">&-", "<&- >&-"):
        done = _run(words.split(), tmp_path, streams)
        assert (done.returncode, done.stdout, done.stderr) == (usual.returncode, "", usual.stderr)
    assert _run(words.split(), tmp_path, ">&- 2>&-").returncode == usual.returncode


@pytest.mark.parametrize("words", ["collector --help", "wal --help", "collector check --show"])
def test_a_reader_that_has_gone_is_no_error(tmp_path: Path, words: str) -> None:
    usual = _run(words.split(), tmp_path, "")
    assert _run(words.split(), tmp_path, "| true").stderr == usual.stderr
