"""The folder of a log: its identity, its segments, and who holds it."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.wal.faulty_files import NotPermitted
from tests.wal.logs import FILES, line
from wal.errors import Corrupt, LogLocked
from wal.folder import LogFolder, find_logs, logs_at, logs_below, unlisted_below
from wal.log import Log


@pytest.fixture
def written(directory: str) -> str:
    """The directory of a closed log with one event."""
    with closing(Log(directory)) as log:
        log.commit(line(1), 1)
    return directory


def test_the_id_is_read_from_the_file_when_it_is_needed(written: str) -> None:
    folder = LogFolder(FILES, written)
    assert folder.log_id.decode() in Path(written, "log.json").read_text()
    Path(written, "log.json").write_text("{}")
    assert folder.log_id, "it is read once"
    with pytest.raises(Corrupt, match=r"log\.json"):
        _ = LogFolder(FILES, written).log_id


def test_an_id_that_is_given_is_not_read(written: str) -> None:
    assert LogFolder(FILES, written, b"0" * 16).log_id == b"0" * 16


def test_the_oldest_place_is_the_first_block_of_the_first_segment(written: str) -> None:
    folder = LogFolder(FILES, written)
    assert folder.oldest() == folder.segments()[0].start
    assert LogFolder(FILES, f"{written}/nowhere").oldest() is None


def test_who_asks_whether_a_folder_is_locked_needs_no_right_to_write(written: str, tmp_path: Path) -> None:
    lock = os.path.join(written, "LOCK")
    os.chmod(lock, 0o444)
    assert not LogFolder(FILES, written).is_locked()
    (tmp_path / "empty").mkdir()
    assert not LogFolder(FILES, str(tmp_path / "empty")).is_locked()
    assert os.listdir(tmp_path / "empty") == []


def test_a_folder_is_locked_while_a_writer_holds_it(written: str) -> None:
    folder = LogFolder(FILES, written)
    assert not folder.is_locked()
    with closing(Log(written)):
        assert folder.is_locked()
        with pytest.raises(LogLocked):
            folder.lock()
    assert not folder.is_locked()


def test_logs_are_found_at_a_path_and_directly_below_it(written: str) -> None:
    assert [folder.path for folder in find_logs(FILES, written)] == [written]
    parent = str(Path(written).parent)
    assert [folder.path for folder in find_logs(FILES, parent)] == [written]
    with pytest.raises(FileNotFoundError, match=r"no log here, nor in a folder of it; expected a log\.json"):
        find_logs(FILES, str(Path(parent, "empty")))


def test_a_folder_that_may_not_be_listed_hides_no_log_beside_it(written: str, tmp_path: Path) -> None:
    unlisted = tmp_path / "a"  # it is listed before the log
    unlisted.mkdir()
    files = NotPermitted(str(unlisted))
    assert [folder.path for folder in find_logs(files, str(tmp_path))] == [written]
    assert unlisted_below(files, str(tmp_path)) == [str(unlisted)]
    with pytest.raises(PermissionError):
        find_logs(files, str(unlisted))


def test_a_folder_that_may_not_be_listed_may_be_the_log_that_is_looked_for(written: str, tmp_path: Path) -> None:
    files = NotPermitted(written)
    Path(written, "log.json").unlink()
    assert logs_at(files, str(tmp_path)) == []
    with pytest.raises(PermissionError, match=written):
        find_logs(files, str(tmp_path))


def test_a_log_in_the_folder_of_a_log_is_found_by_its_own_path_alone(written: str) -> None:
    inner = f"{written}/inner"
    with closing(Log(inner)) as log:
        log.commit(line(2), 1)
    assert [folder.path for folder in find_logs(FILES, written)] == [written]
    assert [folder.path for folder in find_logs(FILES, inner)] == [inner]
    assert [folder.path for folder in find_logs(FILES, str(Path(written).parent))] == [written]
    assert [folder.path for folder in logs_below(FILES, written)] == [inner]


def test_a_log_without_its_identity_is_still_a_log(written: str) -> None:
    Path(written, "log.json").unlink()
    assert LogFolder(FILES, written).is_log()
    assert not LogFolder(FILES, f"{written}/cursors").is_log()
