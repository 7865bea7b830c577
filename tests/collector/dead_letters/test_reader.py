"""Reading of dead letters."""

import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from collector.dead_letters.reader import is_kept, read_letters
from tests.collector.ops.console.looked_up import LookedUp
from tests.wal.faulty_files import NotPermitted
from wal.log import Log
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


def test_a_letter_of_several_parts_is_selected_by_its_first(tmp_path: Path) -> None:
    node = LookedUp(tmp_path)
    node.append_dead('{"id":"a-1"}', sink="file")
    directory = str(tmp_path / "data/dead/00")
    with closing(Log(directory)) as log:
        first = log.end.sequence
        of_log = log.log_id.decode()
        for part, raw in enumerate(("AA", "BB", "CC"), 1):
            log.commit(_part(f"{of_log}-{log.end.sequence}", raw, part), 1)
    for where in ((("id", f"{of_log}-{first}"),), (("part", "1"), ("form", "json"))):
        (letter,) = read_letters(directory, Selection(where=where))
        assert (letter.record.id, letter.body) == (f"{of_log}-{first}", b"AABBCC")
    assert list(read_letters(directory, Selection(where=(("id", f"{of_log}-{first + 1}"),)))) == []
    assert list(read_letters(directory, Selection(where=(("part", "3"),)))) == []


def _part(name: str, raw: str, part: int) -> bytes:
    known = {"id": name, "received_at": 1, "portal_id": 1, "prop_id": 1, "reason": "", "errors": [], "form": "json"}
    return json.dumps({**known, "encoding": "utf-8", "raw": raw, "part": part, "of": 3}).encode() + b"\n"
