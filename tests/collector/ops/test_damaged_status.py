"""`/status` and `/metrics` tell what they can of a data folder that is damaged, whatever the damage is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from collector.ops.counters import CounterBlock
from collector.ops.metrics import render
from collector.ops.status import shard_statuses, sink_statuses
from collector.settings import Settings, load_settings
from collector.ship.health import Health, health_path, save_health
from tests.wal.logs import line
from wal.log import Log


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two shards with five events each, and a cursor of the one sink."""
    (tmp_path / "collector.toml").write_text(
        '[log]\ndir = "log"\n[[sink]]\ntype = "file"\nname = "files"\ndir = "out"\n'
    )
    settings = load_settings(str(tmp_path / "collector.toml"))
    for shard in ("00", "01"):
        log = Log(f"{settings.log.dir}/{shard}")
        for number in range(1, 6):
            log.commit(line(number), 1)
        start = log.folder.oldest()
        assert start
        log.folder.ensure_cursor("files", start)
        log.close()
    return settings


def _becomes_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _becomes_a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("x")


def _segment(shard: Path) -> Path:
    return max(shard.glob("seg-*.ndjson"))


_DAMAGES: dict[str, Callable[[Path], object]] = {
    "an empty segment": lambda shard: _segment(shard).write_bytes(b""),
    "a segment of other bytes": lambda shard: _segment(shard).write_bytes(bytes(range(256)) * 20),
    "a segment that is cut": lambda shard: _segment(shard).write_bytes(_segment(shard).read_bytes()[:-50]),
    "a segment that is a folder": lambda shard: _becomes_a_folder(_segment(shard)),
    "no segment": lambda shard: _segment(shard).unlink(),
    "an identity of other bytes": lambda shard: (shard / "log.json").write_bytes(b"\xff\xfe\0"),
    "no identity": lambda shard: (shard / "log.json").unlink(),
    "a cursor of other bytes": lambda shard: (shard / "cursors/files.json").write_bytes(b"\xff\xfe\0"),
    "a cursor that is a folder": lambda shard: _becomes_a_folder(shard / "cursors/files.json"),
    "cursors that are a file": lambda shard: _becomes_a_file(shard / "cursors"),
    "a ledger of other bytes": lambda shard: (shard / "damage.ndjson").write_bytes(b"\xff\xfe\n{}\n"),
    "a ledger that nests": lambda shard: (shard / "damage.ndjson").write_text("[" * 100_000 + "\n"),
    "a ledger that is a folder": lambda shard: (shard / "damage.ndjson").mkdir(),
    "a lock that is a folder": lambda shard: _becomes_a_folder(shard / "LOCK"),
    "a shard that is a file": _becomes_a_file,
}


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES.keys())
def test_a_damaged_shard_hides_no_other(settings: Settings, damage: Callable[[Path], object]) -> None:
    damage(Path(settings.log.dir) / "00")
    assert [each.next_sequence for each in shard_statuses(settings) if each.shard == "01"] == [6]
    for serving in (["00", "01"], []):
        sinks = {each.shard: each for each in sink_statuses(settings, serving)}
        assert (sinks["01"].lag_events, sinks["01"].error) == (5, "")
        assert "00" not in sinks or sinks["00"].state in ("unreadable", "not running")
    text = render([CounterBlock.create()], settings, {"version": "1", "python": "3", "config": "x"}, {}).decode()
    assert 'tracklog_sink_lag_events{shard="01",sink="files"} 5.0' in text


def test_a_folder_of_the_log_that_cannot_be_listed_is_told(settings: Settings) -> None:
    _becomes_a_file(Path(settings.log.dir))
    (status,) = shard_statuses(settings)
    assert status.shard == settings.log.dir
    assert "Not a directory" in (status.error or "")
    assert sink_statuses(settings, []) == []
    assert b"tracklog_disk_free_bytes" in render([], settings, {"version": "1", "python": "3", "config": "x"}, {})


@pytest.mark.parametrize("paths", [(), ("uid",)], ids=["shown", "hidden"])
def test_the_last_error_of_a_sink_is_hidden_where_something_is_redacted(
    settings: Settings, paths: tuple[str, ...]
) -> None:
    """The receiver may have quoted an event."""
    settings = replace(settings, admin=replace(settings.admin, redact=paths))
    file = Path(health_path(f"{settings.log.dir}/00", "files"))
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as opened:
        save_health(opened.fileno(), Health("down", 1, 'refused {"uid":"u-8812"}'))
    (status,) = (each for each in sink_statuses(settings, ["00", "01"]) if each.shard == "00")
    assert status.state == "down"
    assert ("u-8812" in status.error) == (paths == ())
