"""The key behind tokens and visitor ids: made once, or from the environment, and never shown."""

import errno
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from collector.errors import BadSettings
from collector.settings import LogSettings, SessionSettings, Settings
from collector.settings.secret import load_secret

NAME = "TRACKLOG_TEST_SECRET"


def _settings(folder: Path, secret: str | None = None) -> Settings:
    return Settings(log=LogSettings(dir=str(folder / "data" / "log")), session=SessionSettings(secret=secret))


def test_a_secret_is_made_once_and_stays_the_same(tmp_path: Path) -> None:
    first = load_secret(_settings(tmp_path))
    assert len(first) == 64
    assert load_secret(_settings(tmp_path)) == first


def test_two_folders_get_two_secrets(tmp_path: Path) -> None:
    assert load_secret(_settings(tmp_path / "a")) != load_secret(_settings(tmp_path / "b"))


def test_the_secret_lies_beside_the_log_for_its_owner_alone(tmp_path: Path) -> None:
    load_secret(_settings(tmp_path))
    (path,) = (tmp_path / "data").iterdir()
    assert path.name == "session.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "data" / "session.secret"
    path.parent.mkdir()
    path.write_text("0123456789abcdef")
    load_secret(_settings(tmp_path))
    assert path.read_text() == "0123456789abcdef"


def test_workers_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        secrets = set(pool.map(load_secret, [_settings(tmp_path)] * 4))
    assert len(secrets) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["session.secret"]


def test_the_folder_of_the_secret_is_closed_to_others(tmp_path: Path) -> None:
    load_secret(_settings(tmp_path / "new"))
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "new/data")] == [0o750, 0o750]


@pytest.mark.parametrize("text", ["", "too short"])
def test_a_damaged_secret_file_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data" / "session.secret"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(BadSettings, match=r"session\.secret: expected at least 16 characters; delete it"):
        load_secret(_settings(tmp_path))


def test_a_secret_file_that_is_not_ascii_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "data" / "session.secret"
    path.parent.mkdir()
    path.write_bytes(b"\xff" * 43)
    with pytest.raises(BadSettings, match=r"session\.secret: expected ASCII text; delete it") as caught:
        load_secret(_settings(tmp_path))
    assert "xff" not in str(caught.value)


def test_a_folder_in_the_place_of_the_secret_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "data" / "session.secret").mkdir(parents=True)
    with pytest.raises(BadSettings, match=r"session\.secret: Is a directory; expected a file that this user can read"):
        load_secret(_settings(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_a_secret_file_that_may_not_be_read_is_refused_with_its_path(tmp_path: Path) -> None:
    load_secret(_settings(tmp_path))
    (tmp_path / "data" / "session.secret").chmod(0)
    with pytest.raises(BadSettings, match=r"session\.secret: Permission denied; expected a file"):
        load_secret(_settings(tmp_path))


def test_a_secret_that_finds_no_room_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        load_secret(_settings(tmp_path))
    assert str(caught.value.filename).startswith(str(tmp_path / "data" / "session.secret"))
    assert list((tmp_path / "data").iterdir()) == []


def test_a_secret_of_the_environment_is_the_same_on_every_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "shared by all of the nodes")
    secrets = {load_secret(_settings(tmp_path / node, f"env:{NAME}")) for node in ("a", "b")}
    assert len(secrets) == 1
    assert not list(tmp_path.rglob("session.secret"))


def test_another_secret_of_the_environment_gives_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for text in ("the first of the secrets", "the other of the secrets"):
        monkeypatch.setenv(NAME, text)
        keys.add(load_secret(_settings(tmp_path, f"env:{NAME}")))
    assert len(keys) == 2


@pytest.mark.parametrize("value", [None, "", "hunter2", "fifteen-letters"])
def test_a_short_or_missing_secret_is_refused_by_its_name_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(NAME, raising=False)
    if value is not None:
        monkeypatch.setenv(NAME, value)
    with pytest.raises(BadSettings) as caught:
        load_secret(_settings(tmp_path, f"env:{NAME}"))
    message = str(caught.value)
    assert message.startswith("session.secret: expected at least 16 characters")
    assert NAME in message
    assert not value or value not in message
