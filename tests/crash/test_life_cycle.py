"""Starting, stopping and being looked at, as an operator meets it."""

import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from bench.processes import is_connectable, started
from collector.server.exit_codes import PASSING_FAILURE
from tests.running import (
    PATIENCE_SECONDS,
    PROGRAMS,
    WRITE_KEYS,
    Collector,
    eventually,
    read_log,
    running,
)

_EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_ROTATING = """
[server]
port = {port}
workers = {workers}
[log]
segment_seconds = 2
[[property]]
portal_id = 33167
prop_id = 564990801
[[sink]]
type = "file"
dir = "data/events"
"""


def test_nothing_below_data_is_open_to_others(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        collector.post(_EVENT)
        collector.post({"ea": "view"})  # a dead letter
        eventually(collector.shipped, "the event is shipped")
        eventually(lambda: list((tmp_path / "data/log/00/sinks").glob("*.json")), "the sink's state is written")
        assert collector.stop() == 0
    paths = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in paths if not path.is_symlink()}
    assert {path.name for path, mode in modes.items() if path.is_dir() and mode != 0o750} == set()
    assert {path.name for path, mode in modes.items() if path.is_file() and mode != 0o640} == {"session.secret"}
    assert len(modes) > 20


def test_the_next_start_goes_on_where_the_last_stop_was(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        first = collector.post(_EVENT).headers["x-event-id"]
        assert collector.stop() == 0
        assert [record["id"] for record in collector.shipped()] == [first]
        collector.start()
        second = collector.post(_EVENT).headers["x-event-id"]
        assert collector.stop() == 0
        assert [record["id"] for record in collector.shipped()] == [first, second]
    log_id, number = first.rsplit("-", 1)
    assert second == f"{log_id}-{int(number) + 1}"


def test_threads_that_ship_stand_behind_those_that_serve(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        collector.post(_EVENT)
        eventually(collector.shipped, "the event is shipped")
        (worker,) = collector.workers()
        usual = os.getpriority(os.PRIO_PROCESS, 0)
        shipping = min(usual + 10, 19)
        if shipping == usual:
            pytest.skip("the tests run at the lowest priority, so that no thread can stand behind another")

        def are_as_they_must_be() -> bool:
            """The event loop and two commit threads; all others ship."""
            nice = [os.getpriority(os.PRIO_PROCESS, thread.id) for thread in worker.threads()]
            return nice.count(usual) == 3 and set(nice) == {usual, shipping}

        eventually(are_as_they_must_be, "threads that ship, and no others, are nice")  # a new one is not at once


def test_a_session_outlives_a_restart_by_the_generated_secret(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        before = collector.post(_EVENT).json()
        collector.kill()
        collector.start()
        after = collector.post(_EVENT, f"resp_type=json&an_session={before['an_session']}").json()
    assert (after["au_id"], after["dgs"][-8:]) == (before["au_id"], "%3A2%3A0")
    assert stat.S_IMODE((tmp_path / "data/session.secret").stat().st_mode) == 0o600


def test_a_request_under_way_is_answered_although_the_collector_stops(tmp_path: Path) -> None:
    body = b'{"ea":"view","ec":"product","sid":1,"aid":"a","uid":"u"}'
    head = f"POST /event?portal_id=33167&prop_id=564990801 HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with running(tmp_path, workers=1) as collector:
        with socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(head.encode() + body[:10])
            collector.process.terminate()
            eventually(lambda: not is_connectable(collector.port), "it takes no new connection")
            connection.sendall(body[10:])
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
        assert collector.process.wait(PATIENCE_SECONDS) == 0
        assert len(collector.shipped()) == 1


def test_a_port_in_use_is_an_error_that_says_so(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    with socket.create_server(("127.0.0.1", collector.port)):
        done = _serve(collector)
    assert done.returncode == PASSING_FAILURE
    assert re.fullmatch(
        rf".* start_failed: can't listen on 127\.0\.0\.1 port {collector.port}: Address already in use; .*\n",
        done.stderr,
    )


def test_a_shard_that_needs_a_person_ends_the_start_with_the_reason(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        collector.post(_EVENT)
        collector.stop()
        (segment,) = (tmp_path / "data/log/00").glob("seg-*")
        (tmp_path / "data/log/00" / segment.name.replace("0000000001-", "0000000003-", 1)).write_bytes(b"")
        done = _serve(collector)
    assert done.returncode == 3
    assert "expected segment 2, found no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_torn_write_is_cut_off_and_kept(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        collector.post(_EVENT)
        collector.kill()
        with (tmp_path / "data/log/00/current.ndjson").open("ab") as segment:
            segment.write(b'["EVB1","')
        collector.start()
        collector.post(_EVENT)
        assert "left a torn write of 9 bytes" in collector.stderr
    (kept,) = (tmp_path / "data/log/00/quarantine").iterdir()
    assert kept.read_bytes() == b'["EVB1","'
    assert len(read_log(tmp_path / "data/log")) == 2


@pytest.mark.parametrize("command", ["tail -s 0.1 -qF {log}/00/current.ndjson", "{bin}/wal tail -f {log}"])
def test_the_log_is_followed_while_it_is_written_and_rotated(tmp_path: Path, command: str) -> None:
    with running(tmp_path, workers=1, settings=_ROTATING) as collector:
        arguments = command.format(log=tmp_path / "data/log", bin=PROGRAMS).split()
        with started(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as follower:
            for number in range(3):
                collector.post({**_EVENT, "uid": f"followed-{number}"})
                _read_until(follower, f"followed-{number}")
                eventually(lambda number=number: len(_segments(tmp_path)) > number + 1, "the segment is rotated")


def _read_until(follower: subprocess.Popen[bytes], wanted: str) -> None:
    assert follower.stdout
    while line := follower.stdout.readline():
        if wanted in line.decode():
            return
    pytest.fail(f"{follower.args!r} ended before it printed {wanted}")


def _segments(folder: Path) -> list[Path]:
    return list((folder / "data/log/00").glob("seg-*"))


def _serve(collector: Collector) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / "collector"), "serve", "--config", str(collector.folder / "collector.toml")]
    environment = os.environ | WRITE_KEYS
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=environment
    )
