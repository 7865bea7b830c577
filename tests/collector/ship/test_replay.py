"""`collector replay`: retained events go out once more, once for each replay, also when it is killed on the way."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.processes import started
from collector.errors import BadSettings
from collector.settings import load_settings
from collector.ship.replay import sink_named
from collector.ship.stores.archive import FOLDER
from tests.collector.ship.batches import record
from tests.destinations.files import contents_of, lines_in
from tests.destinations.http import HttpReceiver
from tests.running import PATIENCE_SECONDS, PROGRAMS, eventually
from wal.log import Log

_MINUTE = 60_000
_NOON = 1_714_564_800_000
"""2024-05-01 12:00:00 UTC."""
_SETTINGS = '[log]\nmin_free_bytes = 0\n[[sink]]\ntype = "file"\ndir = "data/events"\nflush_bytes = 4096\n'


def _fill(folder: Path, *, shard: str = "00", minutes: int = 10, a_minute: int = 10) -> list[bytes]:
    """A closed log with a block each minute from noon on; returns its lines."""
    now = [_NOON]
    log = Log(str(folder / "data/log" / shard), clock=lambda: now[0])
    lines: list[bytes] = []
    for minute in range(minutes):
        now[0] = _NOON + minute * _MINUTE
        block = [
            record(log.end.sequence + at, ("web", "pos")[at % 2], ids=b'"event_id":"e-%d",' % at).replace(
                b"0123456789abcdef", log.log_id
            )
            for at in range(a_minute)
        ]
        log.commit(b"".join(block), len(block))
        lines += [line[:-1] for line in block]
    log.close()
    return lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings of a file sink."""
    (tmp_path / "collector.toml").write_text(_SETTINGS)
    return tmp_path


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[HttpReceiver]:
    """A folder's settings lead to this receiver."""
    receiver = HttpReceiver(tmp_path)
    (tmp_path / "collector.toml").write_text(_SETTINGS + receiver.toml())
    yield receiver
    receiver.close()


def _command(folder: Path, *arguments: str) -> list[str]:
    program = [str(PROGRAMS / "collector"), "replay", "--config", str(folder / "collector.toml")]
    return [*program, "--from", "2024-05-01T12:00", "--to", "2024-05-01T13:00", *arguments]


def _replay(folder: Path, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    command = _command(folder, *arguments)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == code, done.stderr
    return done


def _arrived(folder: Path) -> list[bytes]:
    return lines_in(contents_of(folder / "data/events"))


def test_a_span_of_time_goes_out_once_however_often_it_is_run(folder: Path) -> None:
    lines = _fill(folder)
    span = ["--sink", "file", "--from", "2024-05-01T12:02", "--to", "2024-05-01T12:05"]
    done = _replay(folder, *span)
    assert _arrived(folder) == lines[20:50]
    assert re.search(r"^sent: 30 events in \d batches$", done.stdout, re.MULTILINE)
    names = set(contents_of(folder / "data/events"))
    assert "sent by an earlier run: 30" in _replay(folder, *span).stdout
    assert set(contents_of(folder / "data/events")) == names
    assert _arrived(folder) == lines[20:50]


@pytest.mark.parametrize(
    ("span", "events"), [(("999999d", "9999d"), 0), (("999999d", "0d"), 30), (("99999d", "1970"), 0)]
)
def test_times_that_no_calendar_has_are_the_nearest_one(folder: Path, span: tuple[str, str], events: int) -> None:
    _fill(folder, minutes=3)
    since, until = span
    words = ["--sink", "file", "--from", since, "--to", f"{until}-01-01" if until == "1970" else until, "--dry-run"]
    assert f"{events} events" in _replay(folder, *words).stdout


def test_another_name_sends_the_same_events_again(folder: Path) -> None:
    lines = _fill(folder, minutes=2)
    for name in ("first", "second"):
        _replay(folder, "--sink", "file", "--name", name)
    assert sorted(_arrived(folder)) == sorted(lines * 2)


@pytest.mark.parametrize("name", ["a/b", "../../../../evil", "n" * 65, os.fsdecode(b"\xff"), "A", "a\n"])
def test_a_name_that_is_none_of_a_file_is_a_wrong_call(folder: Path, name: str) -> None:
    _fill(folder, minutes=2)
    done = _replay(folder, "--sink", "file", "--name", name, code=2)
    assert "argument --name: expected at most 64 of a-z, 0-9, _ and -, got " in done.stderr
    assert not (folder / "data/events").exists()


def test_it_does_not_count_as_the_delivery_that_is_due_anyway(folder: Path) -> None:
    lines = _fill(folder, minutes=2)
    _replay(folder, "--sink", "file")
    assert not (folder / "data/log/00/cursors").exists()
    names = [name for name in contents_of(folder / "data/events") if not name.startswith(FOLDER)]
    assert names
    assert all(".replay-" in name for name in names)
    assert _arrived(folder) == lines


def test_all_shards_go_out_and_only_the_selected_events(folder: Path) -> None:
    lines = _fill(folder) + _fill(folder, shard="01")
    _replay(folder, "--sink", "file", "--where", "source=pos", "--where", "session.hits=8")
    assert sorted(_arrived(folder)) == sorted(
        line for line in lines if json.loads(line)["source"] == "pos" and json.loads(line)["session"]["hits"] == 8
    )
    assert len(_arrived(folder)) == 2


def test_a_dry_run_counts_and_sends_nothing(folder: Path) -> None:
    _fill(folder)
    assert "would be sent: 100 events" in _replay(folder, "--sink", "file", "--dry-run").stdout
    assert not (folder / "data/events").exists()


def test_a_frozen_replay_sends_no_event_that_came_later_and_is_the_same_replay(folder: Path) -> None:
    lines = _fill(folder, minutes=2)
    log_id = json.loads((folder / "data/log/00/log.json").read_bytes())["log_id"]
    _fill(folder, minutes=3)
    _fill(folder, shard="01")
    result = json.loads(
        _replay(folder, "--sink", "file", "--until-seq", f"{log_id}=21", "--json").stdout.splitlines()[-1]
    )
    assert _arrived(folder) == lines
    assert result["result"]["events"] == 20
    assert "sent by an earlier run: 20" in _replay(folder, "--sink", "file").stdout


def test_one_that_is_killed_on_the_way_goes_on_and_sends_nothing_twice(folder: Path, receiver: HttpReceiver) -> None:
    lines = _fill(folder)
    for batches in range(1, 4):
        receiver.behave("take", "drop", "hang")
        with started(_command(folder, "--sink", "http"), stderr=subprocess.DEVNULL):
            eventually(lambda: len(receiver.keys()) > batches, "some batches have arrived")  # noqa: B023
    _replay(folder, "--sink", "http")
    assert sorted(receiver.arrived()) == sorted(lines)


def test_ctrl_c_ends_it_with_130_and_one_line(folder: Path, receiver: HttpReceiver) -> None:
    _fill(folder)
    receiver.down()
    with started(_command(folder, "--sink", "http"), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        lines = [process.stderr.readline() for _ in range(2)]
        assert "run it again with these times" in lines[0]
        assert "can't connect" in lines[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert "Traceback" not in process.stderr.read()


def test_what_a_sink_refuses_is_named_and_the_rest_arrives(folder: Path, receiver: HttpReceiver) -> None:
    lines = _fill(folder)
    log = Log(str(folder / "data/log/00"), clock=lambda: _NOON + 11 * _MINUTE)
    poison = (receiver.poison or b"").replace(b"0123456789abcdef-0", b"%b-101" % log.log_id)
    log.commit(poison, 1)
    log.close()
    done = _replay(folder, "--sink", "http", code=1)
    assert receiver.arrived() == lines
    assert "refused: 1\n" in done.stdout
    assert f"{log.log_id.decode()}-101: " in done.stdout


def test_dead_letters_of_a_sink_go_out_again_once_it_takes_them(folder: Path) -> None:
    lines = _fill(folder)
    dead = Log(str(folder / "data/dead/00"), clock=lambda: _NOON)
    letters = [_letter(number, line, sink) for number, (line, sink) in enumerate(_refused(lines), 1)]
    dead.commit(b"".join(letters), len(letters))
    dead.close()
    done = _replay(folder, "--sink", "file", "--dead-letters")
    assert _arrived(folder) == [lines[3], lines[7], lines[42]]
    assert "sent: 3 events" in done.stdout
    assert "sent by an earlier run: 3" in _replay(folder, "--sink", "file", "--dead-letters").stdout


def test_a_dead_letter_without_an_id_is_named_and_the_others_go_out(folder: Path) -> None:
    lines = _fill(folder)
    odd = [b"{}", b"no JSON", b'{"id":"x-1"}', b'{"id":7}', b"[" * 4000]
    dead = Log(str(folder / "data/dead/00"), clock=lambda: _NOON)
    letters = [_letter(number, line, "file") for number, line in enumerate([*odd, lines[3]], 1)]
    dead.commit(b"".join(letters), len(letters))
    dead.close()
    done = _replay(folder, "--sink", "file", "--dead-letters")
    assert _arrived(folder) == [lines[3]]
    assert "left out, because they have no id: 5" in done.stdout


def _refused(lines: list[bytes]) -> list[tuple[bytes, str]]:
    return [(lines[7], "file"), (lines[3], "file"), (lines[3], "file"), (lines[42], "file"), (lines[5], "other")]


def _letter(number: int, line: bytes, sink: str) -> bytes:
    known: dict[str, Any] = {"id": f"dead-{number}", "received_at": _NOON, "portal_id": 1, "prop_id": 2}
    text = {"reason": "odd", "errors": [], "form": "record", "sink": sink, "encoding": "utf-8", "raw": line.decode()}
    return json.dumps({**known, **text}).encode() + b"\n"


def test_events_that_nothing_proves_durable_are_left_out_and_counted(folder: Path) -> None:
    lines = _fill(folder, minutes=3)
    path = max((folder / "data/log/00").glob("seg-*"))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b'["EVB1"')])  # without the idle block of a clean stop
    done = _replay(folder, "--sink", "file")
    assert _arrived(folder) == lines[:20]
    assert "fsynced yet: 10" in done.stdout


def test_the_last_block_of_a_recovered_segment_goes_out_too(folder: Path) -> None:
    lines = _fill(folder, minutes=3)
    path = max((folder / "data/log/00").glob("seg-*"))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b'["EVB1"')])  # as a crash leaves it, without the idle block
    Log(str(folder / "data/log/00")).close()  # recovers it, and its header of a new segment says how far it is good
    done = _replay(folder, "--sink", "file")
    assert _arrived(folder) == lines
    assert "fsynced yet" not in done.stdout


def test_a_next_segment_of_another_log_proves_nothing(folder: Path) -> None:
    lines = _fill(folder, minutes=3)
    shard = folder / "data/log/00"
    path = max(shard.glob("seg-*"))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b'["EVB1"')])
    Log(str(folder / "data/log/01")).close()
    foreign = max((folder / "data/log/01").glob("seg-*"))
    number = int(path.name[4:14]) + 1
    (shard / f"seg-{number:010d}-{31:016d}.ndjson").write_bytes(foreign.read_bytes())
    assert "fsynced yet: 10" in _replay(folder, "--sink", "file").stdout
    assert _arrived(folder) == lines[:20]


def test_an_unknown_sink_is_named_with_those_there_are(folder: Path) -> None:
    with pytest.raises(BadSettings, match=r"no sink is named kafka; the settings have file$"):
        sink_named(load_settings(str(folder / "collector.toml")), "kafka")


def test_where_there_is_no_log_it_says_so(folder: Path) -> None:
    assert "no log here" in _replay(folder, "--sink", "file", code=2).stderr


def test_one_event_goes_out_by_its_id_without_the_others_being_read(folder: Path) -> None:
    lines = _fill(folder, minutes=3)
    _fill(folder, shard="01")
    other = max((folder / "data/log/01").glob("seg-*"))
    other.write_bytes(other.read_bytes().replace(b"pos", b"POS"))
    done = _replay(folder, "--sink", "file", "--where", f"id={json.loads(lines[12])['id']}")
    assert _arrived(folder) == [lines[12]]
    assert "corrupt" not in done.stderr
