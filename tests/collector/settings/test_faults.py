"""All faults of a settings file, and all that `serve` would miss, are told at once, and no secret with them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from collector.cli import main
from collector.cli.preflight import load_settings_to_serve
from collector.errors import BadSettings
from collector.settings import load_settings

_MANY = """
verison = 1
[server]
prot = 80
workers = "2"
port = 70000
alias = "/event"
trusted_proxies = ["10.0.0.0/8", "10.0.0.1/8"]
[log]
warn_free_bytes = 5
[limits]
body_bytes = 2048
[[property]]
portal_id = 1
prop_id = 2
origins = ["*", "shop"]
source = "Web"
[[property]]
portal_id = 1
prop_id = 2
ip = "trunkate"
ack = "shipped"
ack_sink = "file"
[[property]]
portal_id = 1
requird = ["ea"]
write_keys = ["the key itself"]
[[sink]]
type = "htp"
[[sink]]
type = "kafka"
brokers = []
topic = "{uid}"
headers = { a = "{b}" }
"""
_FAULTS = """\
verison: no such setting
server.prot: no such setting; did you mean `port`?
server.port: expected `int` <= 65535, got 70000
server.workers: expected `int`, got `str`
server.alias: /event is already a path of the collector; choose another
server.trusted_proxies[1]: expected a network, for example 10.0.0.0/8 or ::1, got '10.0.0.1/8': host bits are set
log.warn_free_bytes: expected at least log.min_free_bytes, 536870912, got 5: the warning must precede shedding
limits.event_bytes: expected at most limits.body_bytes, 2048, got 65536
property[0].source: expected a name of at most 64 of a-z, 0-9, `_` and `-`, which begins with a letter or digit
property[0].origins[1]: expected an origin, for example https://shop.example.com, got 'shop'
property[1].ip: expected `full`, `truncate` or `drop`, got 'trunkate'; did you mean `truncate`?
property[2].requird: no such setting; did you mean `required`?
property[2].prop_id: missing; expected the data source of that account
property[2].write_keys[0]: expected `env:NAME`, where NAME is the environment variable that holds the value
sink[0].type: expected `file`, `kafka`, `objects` or `http`, got 'htp'; did you mean `http`?
sink[1].brokers: expected an array of length >= 1, got one of 0
sink[1].topic: expected none but {source}, {portal_id}, {prop_id}, got {uid}
sink[1].headers.a: expected none but {source}, {portal_id}, {prop_id}, {id}, {event_id}, \
{occurred_at}, {dialect}, got {b}
property[1]: portal_id and prop_id are the same as in property[0]; remove one of the two
"""


def _written(folder: Path, text: str) -> str:
    path = folder / "c.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("command", ["check", "serve"])
def test_every_fault_of_a_file_is_told_at_once_each_on_a_line_with_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = _written(tmp_path, _MANY)
    assert main([command, "--config", path]) == 1
    assert capsys.readouterr() == ("", "".join(f"collector: {path}: {line}\n" for line in _FAULTS.splitlines()))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[[property]]\nportal_id = 0\nprop_id = 1\n" * 2, "portal_id: "),
        ('[log]\nwarn_free_bytes = 1\nmin_free_bytes = "a"', "log.min_free_bytes"),
        ("[log]\nwarn_free_bytes = -1", "log.warn_free_bytes"),
    ],
)
def test_a_rule_says_nothing_of_a_setting_that_has_a_fault_already(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(_written(tmp_path, text))
    assert all(path in line for line in str(caught.value).splitlines()), caught.value


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("server = 1", "server: expected `object`, that is a table, got `int`"),
        ("sink = 1", "sink: expected `array`, got `int`"),
        ("property = [1]", "property[0]: expected `object`, that is a table, got `int`"),
        ("[[sink]]\ndir = 'a'", "sink[0].type: expected `file`, `kafka`, `objects` or `http`"),
        ("[[sink]]\ntype = 5", "sink[0].type: expected `file`, `kafka`, `objects` or `http`, got `int`"),
        ("[server]\nport = true", "server.port: expected `int`, got `bool`"),
        ('"a\\nb" = 1', "'a\\nb': no such setting"),
    ],
)
def test_a_value_of_another_shape_is_a_fault_like_any_other(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(_written(tmp_path, text))
    assert str(caught.value) == f"{tmp_path}/c.toml: {path}"


_SHARED = """
[server]
port = 9000
[admin]
port = 9000
[log]
dir = "data/log"
[dead_letters]
dir = "./data/log/"
[dedup]
dir = "data/out"
[[sink]]
type = "file"
dir = "data/out"
[[sink]]
name = "other"
type = "file"
dir = "data/../data/out"
[[sink]]
type = "objects"
url = "s3://bucket/events"
[[sink]]
name = "more"
type = "objects"
url = "s3://bucket/events/"
[[sink]]
name = "others"
type = "objects"
url = "s3://bucket/others"
"""


def test_a_place_with_two_owners_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _written(tmp_path, _SHARED)
    assert main(["check", "--config", path]) == 1
    lines = capsys.readouterr().err.replace(f"collector: {path}: ", "").splitlines()
    assert [line for line in lines if "of its own" in line] == [
        "dead_letters.dir: expected a folder of its own, got that of log.dir",
        "sink[0].dir: expected a folder of its own, got that of dedup.dir",
        "sink[1].dir: expected a folder of its own, got that of dedup.dir",
        "sink[3].url: expected a folder of its own, got that of sink[2].url",
        "admin.port: expected a port of its own, got that of server.port",
    ]


_UNMET = """
[server]
host = "no.such.host.invalid"
relay_keys = ["env:TRACKLOG_TEST_NOT_SET"]
[admin]
host = "no.such.host.invalid"
token = "env:TRACKLOG_TEST_NOT_SET"
[session]
secret = "env:TRACKLOG_TEST_NOT_SET"
[log]
dir = "a-file/log"
[[property]]
portal_id = 1
prop_id = 2
write_keys = ["env:TRACKLOG_TEST_SET", "env:TRACKLOG_TEST_NOT_SET"]
[[sink]]
type = "file"
dir = "a-file"
[[sink]]
type = "http"
url = "ftp://somewhere"
[[sink]]
name = "other"
type = "http"
url = "http://somewhere"
headers = { a = "env:TRACKLOG_TEST_NOT_SET", b = "env:TRACKLOG_TEST_NOT_SET", c = "env:TRACKLOG_TEST_SET" }
[[sink]]
type = "objects"
url = "s3://bucket"
options = { secret_access_key = "env:TRACKLOG_TEST_NOT_SET" }
[[sink]]
name = "folder"
type = "objects"
url = "file://FOLDER/a-file/objects"
"""


def test_check_tells_all_that_serve_would_miss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_SET", "a-key-that-is-long-enough")
    monkeypatch.delenv("TRACKLOG_TEST_NOT_SET", raising=False)
    (tmp_path / "a-file").touch()
    path = _written(tmp_path, _UNMET.replace("FOLDER", str(tmp_path)))
    before = sorted(tmp_path.rglob("*"))
    assert main(["check", "--config", path]) == 1
    lines = capsys.readouterr().err.replace(f"collector: {path}: ", "").splitlines()
    assert sorted(line.partition(": ")[0] for line in lines) == [
        "admin.host",
        "admin.token",
        "log.dir",
        "property[0].write_keys[1]",
        "server.host",
        "server.relay_keys[0]",
        "session.secret",
        "sink[0].dir",
        "sink[1]",
        "sink[2].headers.a",
        "sink[2].headers.b",
        "sink[3].options.secret_access_key",
        "sink[4].url",
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sinks_folder_that_cannot_be_there_keeps_no_collector_from_its_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a-file").touch()
    path = _written(tmp_path, '[[sink]]\ntype = "file"\ndir = "a-file"')
    assert load_settings_to_serve(path).sink
    assert main(["check", "--config", path]) == 1
    assert "sink[0].dir: expected a folder, but " in capsys.readouterr().err


def test_what_only_serve_needs_keeps_no_other_command_from_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRACKLOG_TEST_NOT_SET", raising=False)
    assert load_settings(_written(tmp_path, _UNMET)).server.host == "no.such.host.invalid"


@pytest.mark.parametrize("value", ["0x" + "f" * 4200, "0b" + "1" * 20_000, "-" + "9" * 4000])
@pytest.mark.parametrize("setting", ["server.port", "limits.event_bytes", "log.segment_seconds", "log.retain_hours"])
def test_a_number_of_any_length_is_a_fault_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, value: str
) -> None:
    table, _, name = setting.partition(".")
    assert main(["check", "--config", _written(tmp_path, f"[{table}]\n{name} = {value}")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < len(str(tmp_path)) + 200
    assert f": {setting}: " in line


@pytest.mark.parametrize("content", [b"short", b"\xff" * 40])
def test_a_secret_file_that_serve_cannot_use_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/session.secret").write_bytes(content)
    assert main(["check", "--config", _written(tmp_path, "")]) == 1
    assert f"session.secret: {tmp_path}/data/session.secret: expected" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="needs a user without root's rights")
def test_a_folder_that_this_user_cannot_write_to_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o555)
    path = _written(tmp_path, '[[sink]]\ntype = "file"\ndir = "data/events"')
    for folder in (*tmp_path.parents[:2], tmp_path):
        folder.chmod(folder.stat().st_mode | 0o055)
    command = [sys.executable, "-c", "import sys; from collector.cli import main; sys.exit(main())", "check"]
    no_rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = subprocess.run([*no_rights, *command, "--config", path], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    paths = [line.replace(f"collector: {path}: ", "").partition(": ")[0] for line in done.stderr.splitlines()]
    assert paths == ["log.dir", "dead_letters.dir", "dedup.dir", "admin.dir", "sink[0].dir"], done.stderr
    assert done.stderr.count(f"{tmp_path}/data cannot: Permission denied\n") == 5


_SECRET = "hunter2-of-the-tests"
_PLACES = {
    "the alias": f'[server]\nalias = "{_SECRET}"',
    "a relay key": f'[server]\nrelay_keys = ["{_SECRET}"]',
    "the session's secret": f'[session]\nsecret = "{_SECRET}"',
    "the session's secret with a prefix": f'[session]\nsecret = "env:{_SECRET}"',
    "a write key": f'[[property]]\nportal_id = 1\nprop_id = 2\nwrite_keys = ["{_SECRET}"]',
    "an origin": f'[[property]]\nportal_id = 1\nprop_id = 2\norigins = ["https://u:{_SECRET}@shop.example.com"]',
    "a redirect's host": f'[[property]]\nportal_id = 1\nprop_id = 2\nredirect_hosts = ["u:{_SECRET}@shop.example.com"]',
    "a source": f'[[property]]\nportal_id = 1\nprop_id = 2\nsource = "http://u:{_SECRET}@h"',
    "a proxy": f'[server]\ntrusted_proxies = ["u:{_SECRET}@10.0.0.1"]',
    "a setting that there is not": f'[server]\npassword = "{_SECRET}"',
    "an http sink's url": f'[[sink]]\ntype = "http"\nurl = "ftp://u:{_SECRET}@h/"',
    "an http sink's url in braces": f'[[sink]]\ntype = "http"\nurl = "http://u:{{{_SECRET}}}@h/"',
    "an http sink's url and a header": f'[[sink]]\ntype = "http"\nurl = "http://u:{_SECRET}@h"\n'
    'headers = { authorization = "x" }',
    "an http sink's resume_url": f'[[sink]]\ntype = "http"\nurl = "http://h"\nresume_url = "h://u:{_SECRET}@h/"',
    "an http sink's query": f'[[sink]]\ntype = "http"\nurl = "ftp://h/?password={_SECRET}"',
    "an http sink's header": f'[[sink]]\ntype = "http"\nurl = "http://h"\nheaders = {{ authorization = "ü{_SECRET}" }}',
    "an objects sink's url": f'[[sink]]\ntype = "objects"\nurl = "s3://id:{_SECRET}@bucket"',
    "an objects sink's option": f'[[sink]]\ntype = "objects"\nurl = "s3://b"\noptions = {{ secret = "{_SECRET}" }}',
    "an objects sink's endpoint": '[[sink]]\ntype = "objects"\nurl = "s3://b"\n'
    f'options = {{ endpoint = "nonsense://u:{_SECRET}@h", timeout = "never" }}',
    "an objects sink's option of the client": '[[sink]]\ntype = "objects"\nurl = "s3://b"\n'
    f'options = {{ timeout = "{_SECRET}" }}',
    "an objects sink's option of a choice": '[[sink]]\ntype = "objects"\nurl = "s3://b"\n'
    f'options = {{ virtual_hosted_style_request = "{_SECRET}" }}',
    "an objects sink's proxy": '[[sink]]\ntype = "objects"\nurl = "s3://b"\n'
    f'options = {{ proxy_url = "nonsense://u:{_SECRET}@h:x" }}',
    "a Kafka sink's broker": f'[[sink]]\ntype = "kafka"\nbrokers = ["SASL_SSL://u:{_SECRET}@h:9092"]',
    "a Kafka sink's option": '[[sink]]\ntype = "kafka"\nbrokers = ["h"]\n'
    f'options = {{ "security.protocol" = "{_SECRET}" }}',
    "a Kafka sink's option of no such name": '[[sink]]\ntype = "kafka"\nbrokers = ["h"]\n'
    f'options = {{ "sasl.pasword" = "{_SECRET}" }}',
    "a Kafka sink's topic": f'[[sink]]\ntype = "kafka"\nbrokers = ["h"]\ntopic = "{{u:{_SECRET}@h}}"',
    "a file that is not TOML": f'password = "{_SECRET}',
}


@pytest.mark.parametrize("text", _PLACES.values(), ids=_PLACES)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_password_is_never_printed_wherever_it_stands_in_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str, text: str
) -> None:
    assert main([command, "--config", _written(tmp_path, text)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("collector: ") >= 1
    assert _SECRET.removesuffix("-of-the-tests") not in err.replace(str(tmp_path), "")
