"""What a start needs beside a sound settings file, and what only a check looks at."""

import socket
from pathlib import Path

import pytest

from collector.cli.preflight import load_settings_to_check, load_settings_to_serve
from collector.errors import BadSettings

_NAMED = '[server]\nhost = "node-1"\n[admin]\nenabled = false\n'


def test_a_name_that_can_not_be_looked_up_yet_fails_a_check_and_neither_a_start_nor_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.toml").write_text(_NAMED)
    _fail_lookups(monkeypatch, socket.EAI_AGAIN)
    assert load_settings_to_serve(str(tmp_path / "c.toml")).server.host == "node-1"
    with pytest.raises(BadSettings, match=r"c\.toml: server\.host: expected an address of this machine, .*'node-1'$"):
        load_settings_to_check(str(tmp_path / "c.toml"))


def test_a_name_that_does_not_exist_is_a_fault_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.toml").write_text(_NAMED)
    _fail_lookups(monkeypatch, socket.EAI_NONAME)
    for load in (load_settings_to_serve, load_settings_to_check):
        with pytest.raises(BadSettings) as caught:
            load(str(tmp_path / "c.toml"))
        assert str(caught.value).count("server.host: expected an address of this machine") == 1


@pytest.mark.parametrize("folder", ["n" * 256, "new/" + "ü" * 128, "new/" * 900, "n" * 256 + "/new"])
@pytest.mark.parametrize("setting", ["log.dir", "dead_letters.dir"])
def test_a_folder_that_no_disk_can_have_is_a_fault(tmp_path: Path, setting: str, folder: str) -> None:
    table, _, name = setting.partition(".")
    (tmp_path / "c.toml").write_text(f'[{table}]\n{name} = "{folder}"\n')
    for load in (load_settings_to_serve, load_settings_to_check):
        with pytest.raises(BadSettings) as caught:
            load(str(tmp_path / "c.toml"))
        message = "expected names of at most 255 bytes, and at most 3,584 in the whole path"
        assert str(caught.value).splitlines()[0] == f"{tmp_path}/c.toml: {setting}: {message}"


def test_a_folder_with_the_longest_name_that_a_disk_can_have_is_sound(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(f'[log]\ndir = "new/{"n" * 255}"\n')
    assert load_settings_to_check(str(tmp_path / "c.toml")).settings.log.dir.endswith("n" * 255)


def _fail_lookups(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "it failed")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
