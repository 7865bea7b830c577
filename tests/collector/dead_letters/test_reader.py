"""Reading of dead letters."""

import os
from pathlib import Path

import pytest

from collector.dead_letters.reader import is_kept, read_letters
from tests.collector.ops.console.looked_up import LookedUp
from tests.wal.faulty_files import NotPermitted
from wal.tools.select import Selection


def test_looking_for_a_letter_keeps_no_segment_open(tmp_path: Path) -> None:
    node = LookedUp(tmp_path)
    lines = ['{"id":"a-1"}', '{"id":"a-2"}']
    node.append_dead(*lines, sink="file")
    node.append_dead(*lines, sink="file", shard="01")
    directory = str(tmp_path / "data/dead")
    held = [is_kept(directory, sink, line.encode()) for sink in ("file", "http") for line in (*lines, "{}")]
    assert held == [True, True, False, False, False, False]
    letters = read_letters(directory, Selection())
    assert next(letters).body == lines[0].encode()
    letters.close()
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    assert [link for link in links if link.startswith(directory)] == []


def test_a_folder_that_may_not_be_listed_hides_no_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = LookedUp(tmp_path)
    node.append_dead('{"id":"a-1"}', sink="file")
    directory = tmp_path / "data/dead"
    (directory / "lost+found").mkdir()
    monkeypatch.setattr("collector.dead_letters.reader.Files", lambda: NotPermitted(str(directory / "lost+found")))
    assert is_kept(str(directory), "file", b'{"id":"a-1"}')
