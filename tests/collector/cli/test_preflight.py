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


def _fail_lookups(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "it failed")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
