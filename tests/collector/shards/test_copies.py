"""Copies of logs in `log.dir`: found, and neither opened beside the other nor adopted."""

import shutil
from pathlib import Path

import pytest

from collector.settings import LogSettings, Settings
from collector.settings.sinks import SinkSettings
from collector.shards.adoption import orphans
from collector.shards.copies import copies_in
from collector.shards.shard import first_free
from wal.files import Files
from wal.log import Log


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a folder with the shards 00 and 01."""
    for name in ("00", "01"):
        _append(tmp_path / name)
    return Settings(
        log=LogSettings(dir=str(tmp_path), min_free_bytes=0),
        sink=(SinkSettings(name="file", flush_bytes=1, flush_seconds=1.0),),
    )


def _append(shard: Path) -> None:
    log = Log(str(shard), min_free_bytes=0)
    log.commit(b'{"n":1}\n', 1)
    log.close()


def _copies(folder: Path) -> dict[str, str]:
    return copies_in(Files(), [str(path) for path in sorted(folder.iterdir())])


def test_two_logs_with_one_id_are_copies_of_each_other(settings: Settings, tmp_path: Path) -> None:
    assert _copies(tmp_path) == {}
    shutil.copytree(tmp_path / "01", tmp_path / "01.bak")
    (tmp_path / "garbage").mkdir()
    (tmp_path / "garbage" / "log.json").write_text("{")
    (tmp_path / "control.sock").touch()
    one, other = str(tmp_path / "01"), str(tmp_path / "01.bak")
    assert _copies(tmp_path) == {one: other, other: one}


def test_a_worker_passes_over_shards_of_which_one_is_a_copy(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("01.bak", "02"):
        shutil.copytree(tmp_path / "01", tmp_path / name)
    opened = [first_free(settings) for _ in range(2)]
    assert [name for name, _ in opened] == ["00", "03"]
    for _, log in opened:
        log.close()
    told = [message for message in caplog.messages if "neither written nor shipped" in message]
    assert [message.partition(": ")[0] for message in told] == [f"{tmp_path}/01", f"{tmp_path}/02"]


def test_a_copy_of_a_shard_that_is_held_keeps_nobody_from_another(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, held = first_free(settings)
    shutil.copytree(tmp_path / "00", tmp_path / "07")
    name, log = first_free(settings)
    assert name == "01"
    assert "neither written" not in caplog.text
    log.close()
    held.close()


def test_a_copy_that_no_worker_would_open_keeps_no_worker_from_its_shard(settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "00", tmp_path / "00.bak")
    name, log = first_free(settings)
    assert name == "00"
    log.close()


def test_a_copy_is_not_adopted_and_is_told(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, held = first_free(settings)
    shutil.copytree(tmp_path / name, tmp_path / "00.bak")
    assert list(orphans(settings)) == [str(tmp_path / "01")]
    assert caplog.messages == [
        f"{tmp_path}/00.bak: this shard is neither written nor shipped: {tmp_path}/00 has the same id; "
        "move the copy away"
    ]
    held.close()
