"""`collector count`: how many events of the log have which values."""

import json
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from bench.processes import started
from collector.cli import counting, main
from tests.running import PATIENCE_SECONDS, PROGRAMS, eventually
from tests.terminal import on_terminal
from tests.wal.logs import Clock, damage, segments
from wal.format import HEADER_BYTES
from wal.log import Log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two logs of three and two events, a minute apart, and settings that name their folder."""
    (tmp_path / "collector.toml").write_text(f'[log]\ndir = "{tmp_path}/data/log"\n')
    clock = Clock()
    for shard, events in (("00", (("view", 1), ("click", 2), ("view", 1))), ("01", (("view", 2), ("a\tb\\", 1)))):
        with closing(Log(str(tmp_path / "data/log" / shard), clock=clock, monotonic=clock.monotonic)) as log:
            log.commit(b"".join(_record(*event) for event in events), len(events))
        clock.ms += 60_000
    return tmp_path


def _record(action: str, prop_id: int) -> bytes:
    return json.dumps({"prop_id": prop_id, "event": {"ea": action}}, separators=(",", ":")).encode() + b"\n"


def _command(folder: Path, *arguments: str) -> list[str]:
    return ["count", "--config", str(folder / "collector.toml"), *arguments]


def _count(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main(_command(folder, *arguments)) == code
    out, err = capsys.readouterr()
    return out, err


def test_events_of_all_logs_are_counted_by_their_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = _count(folder, capsys, "--by", "ea,prop_id")
    assert out.splitlines() == [
        "ea\tprop_id\tevents",
        "view\t1\t2",
        "a\\tb\\\\\t1\t1",
        "click\t2\t1",
        "view\t2\t1",
        "",
        "events\tgroups\tevents of groups not listed",
        "5\t4\t0",
    ]
    assert err == ""


def test_json_is_a_group_a_line_and_the_total(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = _count(folder, capsys, "--by", "event.ea", "--by", "prop_id", "--json", "--limit", "1")
    assert list(map(json.loads, out.splitlines())) == [
        {"type": "group", "by": {"event.ea": "view", "prop_id": "1"}, "events": 2},
        {"type": "total", "events": 5, "groups": 4, "events_not_listed": 3},
    ]


@pytest.mark.parametrize(
    ("options", "events"),
    [
        (["--where", "ea=view"], 3),
        (["--since", "2023-11-14T22:14:20"], 2),
        (["--until", "2023-11-14T22:14:20Z"], 3),
        (["--from-seq", "3"], 1),
        (["--since", "1h"], 0),
    ],
)
def test_events_are_selected_as_by_cat(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], events: int
) -> None:
    out, _ = _count(folder, capsys, "--by", "ea", *options)
    assert out.splitlines()[-1].split("\t")[0] == str(events)


def test_a_folder_that_is_named_is_counted_without_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "collector.toml").unlink()
    out, _ = _count(folder, capsys, "--by", "ea", str(folder / "data/log/01"))
    assert out.splitlines()[-1] == "2\t2\t0"


def test_more_groups_than_are_held_are_reported(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_MOST_GROUPS", 1)
    out, err = _count(folder, capsys, "--by", "ea")
    assert out.splitlines()[1:2] == ["view\t3"]
    assert out.splitlines()[-1] == "5\t1\t2"
    assert err.startswith("collector: too many groups: 2 events are in none of those that were held")


def test_lines_that_are_not_json_are_reported_and_damage_is_exit_code_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Log(str(folder / "data/log/02"))) as log:
        log.commit(b"nonsense\n", 1)
    _, err = _count(folder, capsys, "--by", "ea")
    assert err == "collector: not JSON objects, and not counted: 1 events\n"
    damage(segments(str(folder / "data/log/00"))[0], 2 * HEADER_BYTES + 2)
    out, err = _count(folder, capsys, "--by", "ea", code=1)
    assert out.splitlines()[-1] == "2\t2\t0"
    assert "events 1 to 3 are lost" in err


def test_a_terminal_gets_a_table_and_progress_that_is_cleared(folder: Path) -> None:
    printed = on_terminal([str(PROGRAMS / "collector"), *_command(folder, "--by", "ea")])
    assert "\r5 events\r\x1b[K" in printed
    assert ["view", "3"] in [line.split() for line in printed.splitlines()]


def test_ctrl_c_ends_a_count_with_its_usual_exit_code(tmp_path: Path) -> None:
    with closing(Log(str(tmp_path / "00"))) as log:
        for _ in range(40):
            log.commit(_record("view", 1) * 20_000, 20_000)
    command = [str(PROGRAMS / "collector"), "count", "--by", "ea,prop_id", "--where", "ea=view", str(tmp_path)]
    with started(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        eventually(lambda: "/00/seg" in str(psutil.Process(process.pid).open_files()), "it reads")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert process.stderr
        assert process.stderr.read() == b""


def test_fields_are_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["count"])
    assert ended.value.code == 2
    assert "--by" in capsys.readouterr().err


@pytest.mark.parametrize("fields", ["", "ea,", ",", "ea,,prop_id"])
def test_a_field_without_a_name_is_a_wrong_call(capsys: pytest.CaptureFixture[str], fields: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["count", "--by", fields])
    assert ended.value.code == 2
    assert f"argument --by: {fields!r} has an empty name of a field" in capsys.readouterr().err
