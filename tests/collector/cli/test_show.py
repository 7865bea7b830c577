"""`collector check --show`: all settings in effect, where each comes from, and no secret."""

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.cli import main
from collector.cli.masking import masked
from collector.settings import Settings, load_settings

_MAIN = """
include = ["properties/*.toml"]
[server]
port = 0
[session]
secret = "env:TRACKLOG_TEST_KEY"
[[property]]
portal_id = 1
prop_id = 2
write_keys = ["env:TRACKLOG_TEST_KEY"]
[[sink]]
type = "file"
dir = "events"
[[sink]]
type = "http"
url = "http://user:hunter2@localhost:8123/?query=INSERT&token={token}&password=hunter2"
headers = { x-api-key = "hunter2", x-tenant = "hunter2", x-key = "env:TRACKLOG_TEST_KEY" }
"""
_KEY = "hunter2-is-the-key-of-the-tests"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A settings file with an included one."""
    monkeypatch.setenv("TRACKLOG_TEST_KEY", _KEY)
    monkeypatch.setenv("TRACKLOG_LIMITS__NESTING", "7")
    (tmp_path / "properties").mkdir()
    (tmp_path / "properties/a.toml").write_text('[[property]]\nportal_id = 1\nprop_id = 3\nip = "drop"\n')
    path = tmp_path / "collector.toml"
    path.write_text(_MAIN)
    return str(path)


def _shown(path: str, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["check", "--show", *options, "--config", path]) == 0
    return capsys.readouterr().out


def test_each_setting_is_printed_with_its_origin(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()) for line in _shown(path, capsys).splitlines()]
    included = str(Path(path).parent / "properties/a.toml")
    for line in (
        f'include = ["properties/*.toml"] # {path}',
        'host = "127.0.0.1" # default',
        f"port = 0 # {path}",
        "# alias is not set # default",
        "nesting = 7 # TRACKLOG_LIMITS__NESTING",
        f'secret = "env:TRACKLOG_TEST_KEY" # {path}',
        f"prop_id = 3 # {included}",
        f'ip = "drop" # {included}',
        'ip = "full" # default',
        f'type = "file" # {path}',
        'name = "http" # default',
    ):
        assert line in lines
    assert lines.count("[[property]]") == lines.count("[[sink]]") == 2


def test_no_secret_is_printed_and_no_variable_is_resolved(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    for out in (_shown(path, capsys), _shown(path, capsys, "--json")):
        assert "hunter2" not in out
        assert "http://***@localhost:8123/?query=INSERT&token={token}&password=***" in out


def test_what_is_printed_is_a_settings_file_of_the_same_settings(
    path: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(path).write_text(_MAIN.partition('[[sink]]\ntype = "http"')[0])
    printed = _shown(path, capsys)
    before = load_settings(path)
    monkeypatch.delenv("TRACKLOG_LIMITS__NESTING")
    copy = tmp_path / "copy.toml"
    copy.write_text(printed.replace('include = ["properties/*.toml"]', "include = []"))
    assert load_settings(str(copy)) == msgspec.structs.replace(before, include=())


def test_json_has_every_setting_once_with_the_file_or_variable(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in _shown(path, capsys, "--json").splitlines()]
    found: dict[str, Any] = {row["setting"]: row for row in rows}
    assert len(found) == len(rows)
    variable = {"value": 7, "source": "environment", "name": "TRACKLOG_LIMITS__NESTING"}
    assert found["limits.nesting"] == {"setting": "limits.nesting", **variable}
    assert found["property[1].ip"]["name"] == str(Path(path).parent / "properties/a.toml")
    assert found["server.alias"] == {"setting": "server.alias", "value": None, "source": "default", "name": None}
    tables = {name.partition(".")[0].partition("[")[0] for name in found}
    assert tables == set(Settings.__struct_fields__)


def test_without_properties_and_sinks_the_lines_are_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text("")
    shown = tomllib.loads(_shown(str(tmp_path / "c.toml"), capsys))
    assert (shown["property"], shown["sink"]) == ([], [])
    assert shown["log"]["dir"] == str(tmp_path / "data/log")


def test_a_value_cannot_command_the_terminal(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(path).write_text('[[sink]]\ntype = "file"\ndir = "a\\u009b\\u202e\\u007f"\n')
    assert "a\\u009b\\u202e\\u007f" in _shown(path, capsys)


def test_settings_with_a_fault_are_not_shown(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(path).write_text("[server]\nport = 70000")
    assert main(["check", "--show", "--config", path]) == 1
    assert capsys.readouterr().out == ""


def test_json_alone_is_a_wrong_call(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--config", path]) == 2
    assert capsys.readouterr() == ("", "collector: --json: expected --show with it\n")


@pytest.mark.parametrize(
    ("setting", "value", "shown"),
    [
        ("url", "https://a.example.com/x?b=c", "https://a.example.com/x?b=c"),
        ("url", "https://user:p@ss/w?rd@h/", "https://***@h/"),
        ("url", "https://token@h/", "https://***@h/"),
        ("url", "user:pass@h", "***@h"),
        ("url", "https://h/services/B00000ab1/XXXXxxxxXXXXxxxxXXXXxxxx", "https://h/services/***/***"),
        (
            "url",
            "https://h/v1/token/hunter/events-2026/{log_id}?a=1",
            "https://h/v1/token/***/events-2026/{log_id}?a=1",
        ),
        ("url", "s3://bucket/a1b2c3d4", "s3://bucket/a1b2c3d4"),
        ("url", "https://h/?a=1&sig=x&p%61ssword=x", "https://h/?a=1&sig=***&p%61ssword=***"),
        ("url", "https://h/?X-Amz-Credential=x;api_key=x", "https://h/?X-Amz-Credential=***;api_key=***"),
        ("resume_url", "https://h/?key=hunter2", "https://h/?key=***"),
        ("url", "https://h/?db=x&u=name&p=hunter2", "https://h/?db=x&u=name&p=***"),
        ("url", "https://h/?code=hunter2&encode=x", "https://h/?code=***&encode=x"),
        ("headers", {"content-type": "x", "a": "env:NAME"}, {"content-type": "***", "a": "env:NAME"}),
        ("options", {"sasl.password": "x", "region": "eu"}, {"sasl.password": "***", "region": "eu"}),
        ("options", {"sasl.oauthbearer.config": "x"}, {"sasl.oauthbearer.config": "***"}),
        ("options", {"proxy_url": "http://u:p@h"}, {"proxy_url": "http://***@h"}),
        ("relay_keys", ("env:A", "env:B"), ["env:A", "env:B"]),
        ("final_statuses", (400, 413), [400, 413]),
        ("port", 8080, 8080),
        ("alias", None, None),
    ],
)
def test_what_may_be_secret_is_masked(setting: str, value: object, shown: object) -> None:
    assert masked(setting, value) == shown
