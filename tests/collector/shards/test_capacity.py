"""Warnings of settings that need more than the disk has."""

from pathlib import Path

import pytest

from collector.cli import main
from collector.settings import LogSettings, ServerSettings, Settings
from collector.shards.capacity import capacity_warnings
from wal.files import Files


@pytest.mark.parametrize("workers", [1, 4])
def test_a_disk_that_is_smaller_than_what_may_be_kept_is_warned_of(tmp_path: Path, workers: int) -> None:
    capacity = Files().room(str(tmp_path)).all_bytes
    server = ServerSettings(workers=workers)

    def warnings(retain_bytes: int) -> list[str]:
        log = LogSettings(dir=str(tmp_path / "not/yet/there"), min_free_bytes=0, retain_bytes=retain_bytes)
        return list(capacity_warnings(Settings(server=server, log=log)))

    assert warnings(capacity // workers) == []
    (message,) = warnings(capacity // workers + 1)
    assert message.startswith(f"log.retain_bytes: {workers} workers keep up to ")
    assert f"the disk of {tmp_path} has {capacity}" in message


def test_a_disk_that_is_smaller_than_what_must_stay_free_is_warned_of(tmp_path: Path) -> None:
    capacity = Files().room(str(tmp_path)).all_bytes

    def warnings(min_free_bytes: int) -> list[str]:
        log = LogSettings(dir=str(tmp_path / "not/yet/there"), min_free_bytes=min_free_bytes, retain_bytes=0)
        return list(capacity_warnings(Settings(log=log)))

    assert warnings(capacity) == []
    (message,) = warnings(capacity + 1)
    assert message.startswith(f"log.min_free_bytes: {capacity + 1} bytes are to stay free, and the disk of {tmp_path} ")
    assert message.endswith("or every request gets 503")


def test_check_warns_of_a_disk_that_is_too_small_and_finds_no_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ("retain_bytes", "min_free_bytes", "warn_free_bytes")
    (tmp_path / "collector.toml").write_text("[log]\n" + "".join(f"{name} = {1 << 60}\n" for name in sizes))
    assert main(["check", "--config", str(tmp_path / "collector.toml")]) == 0
    printed = capsys.readouterr()
    assert [line.split(": ")[1] for line in printed.err.splitlines()] == ["log.min_free_bytes", "log.retain_bytes"]
    assert printed.out.startswith("ok: ")
