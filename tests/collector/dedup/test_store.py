"""The files of the index: which are trusted, who replaces them, and what processes that end at any point leave."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from collector.dedup import store as store_module
from collector.dedup.bounds import bounds_of
from collector.dedup.index import open_index
from collector.dedup.layout import Place
from collector.dedup.store import IndexLost, IndexStore, open_store
from collector.settings.dedup import DedupSettings
from tests.collector.dedup.indexes import LOG, MAP_BYTES, NOW, OTHER, claim, small_store, worker

_CHILD = """
import os, sys
from pathlib import Path
from tests.collector.dedup.indexes import claim, small_store, worker
index = worker(small_store(Path(sys.argv[1])), sys.argv[2].encode())
{}
"""


def _child(directory: Path, log_id: bytes, code: str) -> "subprocess.Popen[bytes]":
    """Another worker process, which runs this code with its `index`."""
    command = (sys.executable, "-c", _CHILD.format(code), str(directory), log_id.decode())
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)


def _path(directory: Path) -> Path:
    (path,) = [path for path in directory.iterdir() if path.is_dir()]
    return path


def test_an_index_outlives_its_processes(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    claim(worker(store), "a", 1)
    store.close()
    store = small_store(tmp_path)
    assert claim(worker(store, OTHER), "a", 1) == Place(LOG, 1, 1, is_durable=False)
    store.close()


def test_an_index_of_another_boot_is_made_anew(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), MAP_BYTES, "one")
    claim(worker(store), "a", 1)
    store.close()
    store = open_store(str(tmp_path), MAP_BYTES, "two")
    assert claim(worker(store), "a", 1) is None
    store.close()
    assert _path(tmp_path).name.startswith("v1-two-")


def test_folders_that_are_no_index_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "log" / "00").mkdir(parents=True)
    (tmp_path / "v1-one-77.broken").mkdir()
    (tmp_path / "new-abcdefgh").mkdir()
    small_store(tmp_path).close()
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith("v1-")} == {"LOCK", "log"}
    assert (tmp_path / "log" / "00").is_dir()
    assert not (tmp_path / "v1-one-77.broken").exists()


def test_an_index_that_was_copied_back_is_made_anew(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    claim(worker(store), "a", 1)
    store.close()
    path = _path(tmp_path)
    path.rename(tmp_path / "old")
    shutil.copytree(tmp_path / "old", path)
    shutil.rmtree(tmp_path / "old")
    store = small_store(tmp_path)
    assert claim(worker(store), "a", 1) is None
    store.close()
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("content", [b"", b"junk" * 2048, None])
def test_an_index_that_is_broken_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    small_store(tmp_path).close()
    data = _path(tmp_path) / "data.mdb"
    if content is None:
        data.unlink()
    else:
        with data.open("r+b") as file:
            file.truncate(len(content) and MAP_BYTES)
            file.write(content)
    store = small_store(tmp_path)
    assert claim(worker(store), "a", 1) is None
    store.close()


def test_a_process_notices_that_its_index_was_replaced(store: IndexStore) -> None:
    index = worker(store)
    claim(index, "a", 1)
    shutil.rmtree(store.path)
    with pytest.raises(IndexLost, match="was replaced; restart this process"):
        index.publish(2)


def test_an_error_of_the_library_takes_the_index_away_from_all(store: IndexStore, tmp_path: Path) -> None:
    index, other = worker(store), worker(store, OTHER)
    with pytest.raises(IndexLost, match=r"is broken \(.*\); restart this process"), store.transaction():
        raise lmdb.CorruptedError("a page")
    with pytest.raises(IndexLost):
        other.publish(1)
    again = small_store(tmp_path / "dedup")
    assert again.path != store.path
    again.close()
    assert index.stats(NOW).entries == 0


def test_a_new_size_waits_until_nobody_has_the_index_open(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    claim(worker(store), "a", 1)
    child = _child(tmp_path, OTHER, "print(1, flush=True); sys.stdin.read()")
    assert child.stdout
    child.stdout.readline()
    store.close()
    store = open_store(str(tmp_path), 2 * MAP_BYTES)
    assert store.map_bytes == MAP_BYTES
    store.close()
    child.communicate()
    store = open_store(str(tmp_path), 2 * MAP_BYTES)
    assert store.map_bytes == 2 * MAP_BYTES
    assert claim(worker(store), "a", 1) is None
    store.close()


def test_the_bytes_of_an_index_are_allocated_before_they_are_needed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), 64 << 20)
    index = worker(store, bounds=bounds_of(1_000_000, 64 << 20))
    data = _path(tmp_path) / "data.mdb"
    first = data.stat().st_blocks * 512
    assert 16 << 20 <= first < 20 << 20
    for at in range(100_000):
        claim(index, str(at), at)
    used = (store.env.info()["last_pgno"] + 1) * 4096
    assert used + (4 << 20) < data.stat().st_blocks * 512 < 64 << 20
    store.close()


def test_on_a_full_disk_an_index_keeps_to_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, length: int) -> None:
        raise OSError(errno.ENOSPC, "no room", path, None, str(length))

    store = open_store(str(tmp_path), 64 << 20)
    index = worker(store, bounds=bounds_of(1_000_000, 64 << 20))
    monkeypatch.setattr(store_module, "_allocate", full)
    allocated = (_path(tmp_path) / "data.mdb").stat().st_blocks * 512
    for at in range(150_000):
        claim(index, str(at), at)
    assert (store.env.info()["last_pgno"] + 1) * 4096 <= allocated
    assert index.stats(1).entries < 150_000
    store.close()


def test_a_disk_without_room_for_an_index_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="huge"):
        open_store(str(tmp_path / "huge"), 1 << 60)
    assert [path for path in (tmp_path / "huge").iterdir() if path.is_dir()] == []


def test_a_closed_index_refuses_claims_and_stays_for_the_next_process(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    index = worker(store)
    claim(index, "a", 1)
    store.close()
    with pytest.raises(IndexLost, match="closed"):
        claim(index, "b", 2)
    again = small_store(tmp_path)
    assert claim(worker(again, OTHER), "a", 1) is not None
    again.close()


def test_processes_share_one_index(tmp_path: Path) -> None:
    code = "print(sum(claim(index, str(at), at) is None for at in range(5000)))"
    children = [_child(tmp_path, log_id, code) for log_id in (LOG, OTHER)]
    firsts = [int(child.communicate()[0]) for child in children]
    assert sum(firsts) == 5000


def test_a_process_that_is_killed_at_any_point_leaves_the_others_working(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    index = worker(store)
    claim(index, "before", 1)
    claimed = 0
    for _ in range(3):
        child = _child(tmp_path, OTHER, "print(1, flush=True)\nfor at in range(1 << 40): claim(index, f'b{at}', at)")
        assert child.stdout
        child.stdout.readline()
        for _ in range(2000):
            claimed += 1
            assert claim(index, f"a{claimed}", claimed) is None
        child.kill()
        child.communicate()
        assert child.returncode == -signal.SIGKILL
    assert claim(index, "before", 9) is not None
    assert all(claim(index, f"a{at}", 9) for at in range(1, claimed + 1))
    store.close()


def test_a_process_that_is_killed_within_a_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    index = worker(store)
    code = "index.claims(1).__enter__().claim(bytes(16), 1, 1000); os.kill(os.getpid(), 9)"
    child = _child(tmp_path, OTHER, code)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    with index.claims(1) as claims:
        assert claims.claim(bytes(16), 1, 1000) is None
    store.close()


def test_settings_make_an_index(tmp_path: Path) -> None:
    index = open_index(DedupSettings(dir=str(tmp_path / "deep/dedup"), bytes=16 << 20))
    index.begin(LOG, 1)
    assert claim(index, "a", 1) is None
    assert os.path.getsize(_path(tmp_path / "deep/dedup") / "data.mdb") == 16 << 20
    index.close()
