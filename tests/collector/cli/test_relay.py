"""`collector relay`: what an operator sees of other nodes' logs, and how a log is released from its key."""

import json
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from collector.cli import main
from collector.ingest.policy.write_keys import key_digest
from collector.relays.marks import Marks, RelayMark, key_name
from tests.running import WRITE_KEYS
from wal.files import Files

SETTINGS = '[server]\nrelay_keys = ["env:TRACKLOG_TEST_KEY_A", "env:TRACKLOG_TEST_KEY_B"]\n'
BOUND, FREE, FOREIGN, DAMAGED = (letter * 16 for letter in "abcd")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a node with a log of a key, one of none, and one of a key that is not in the settings."""
    for name, value in WRITE_KEYS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "collector.toml").write_text(SETTINGS)
    relays = tmp_path / "data/log/relays"
    relays.mkdir(parents=True)
    key = key_name(key_digest("", "env:TRACKLOG_TEST_KEY_B"))
    (relays / f"{BOUND}.json").write_text(
        f'{{"next":7,"chain":"0badcafe","key":"{key}","last_ms":1700000000000,'
        '"plan":{"shard":"00","sequence":1,"first":7,"last":9,"chain":"00000001"}}'
    )
    (relays / f"{FREE}.json").write_text('{"next":3}')
    (relays / f"{FOREIGN}.json").write_text(f'{{"next":4,"key":"{"0" * 32}"}}')
    (relays / f"{BOUND}.lock").touch()
    return tmp_path


def _run(folder: Path, *arguments: str) -> int:
    return main(["relay", *arguments, "--config", str(folder / "collector.toml")])


def test_ls_names_each_log_with_the_setting_of_its_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder, "ls") == 0
    assert capsys.readouterr().out == (
        "log\tnext seq\tlast batch (UTC)\tkey\n"
        f"{BOUND}\t7\t2023-11-14T22:13:20Z\tenv:TRACKLOG_TEST_KEY_B\n"
        f"{FREE}\t3\tnever\tnone: the next key that sends it gets it\n"
        f"{FOREIGN}\t4\tnever\tnot in the settings\n"
    )


def test_ls_prints_json_for_machines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder, "ls", "--json") == 0
    bound, free, foreign = map(json.loads, capsys.readouterr().out.splitlines())
    assert bound == {
        "log_id": BOUND,
        "next": 7,
        "chain": "0badcafe",
        "last_ms": 1_700_000_000_000,
        "key": "env:TRACKLOG_TEST_KEY_B",
        "is_bound": True,
    }
    assert (free["key"], free["is_bound"], foreign["key"], foreign["is_bound"]) == (None, False, None, True)


def test_ls_says_where_a_key_is_not_set_in_this_environment(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRACKLOG_TEST_KEY_B")
    assert _run(folder, "ls") == 0
    assert "unknown: env:TRACKLOG_TEST_KEY_B is not set here" in capsys.readouterr().out


def test_ls_of_a_node_without_relays_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "collector.toml").write_text("")
    assert _run(tmp_path, "ls") == 0
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_damaged_mark_is_shown_beside_the_others_and_is_exit_code_1(
    folder: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    (folder / f"data/log/relays/{DAMAGED}.json").write_text('{"next":')
    assert _run(folder, "ls", *option) == 1
    out = capsys.readouterr().out
    assert f"relays/{DAMAGED}.json: damaged: " in out
    assert BOUND in out


def test_forget_releases_a_log_and_keeps_how_far_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marks = Marks(str(folder / "data/log"))
    before = marks.read(BOUND)
    assert _run(folder, "forget", BOUND) == 0
    assert f"log {BOUND} is bound to no key" in capsys.readouterr().out
    assert marks.read(BOUND) == RelayMark(7, "0badcafe", None, before.last_ms, before.plan)
    assert _run(folder, "forget", BOUND) == 0, "twice is once"


@pytest.mark.parametrize("log_id", ["0" * 16, "../x", ""])
def test_a_log_that_was_never_relayed_is_not_forgotten(
    folder: Path, capsys: pytest.CaptureFixture[str], log_id: str
) -> None:
    before = sorted((folder / "data/log/relays").iterdir())
    assert _run(folder, "forget", log_id) == 1
    assert f"no log {log_id} was relayed to this node; `collector relay ls` lists them" in capsys.readouterr().err
    assert sorted((folder / "data/log/relays").iterdir()) == before


def test_a_log_whose_mark_is_damaged_is_not_forgotten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / f"data/log/relays/{DAMAGED}.json").write_text("")
    assert _run(folder, "forget", DAMAGED) == 1
    assert f"relays/{DAMAGED}.json: damaged: " in capsys.readouterr().err


def test_forget_waits_for_a_batch_that_is_under_way(folder: Path) -> None:
    files = Files()
    with ThreadPoolExecutor(1) as threads:
        lock = files.lock(str(folder / f"data/log/relays/{BOUND}.lock"))
        try:
            forgotten = threads.submit(_run, folder, "forget", BOUND)
            wait([forgotten], timeout=0.2)
            assert not forgotten.done()
            assert Marks(str(folder / "data/log")).read(BOUND).key is not None
        finally:
            files.close(lock)
        assert forgotten.result() == 0
    assert Marks(str(folder / "data/log")).read(BOUND).key is None
