"""The command line: what it prints, and how it exits."""

import logging
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from collector.cli import main
from collector.dead_letters import redrive
from collector.ship import replay
from tests.running import PATIENCE_SECONDS, PROGRAMS, running
from wal.log import Log

GOOD = """
[server]
workers = 3
[[property]]
portal_id = 1
prop_id = 2
[[property]]
portal_id = 1
prop_id = 3
[[sink]]
type = "file"
dir = "events"
"""


def test_check_says_what_the_settings_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text(GOOD)
    assert main(["check", "--config", str(path)]) == 0
    assert capsys.readouterr().out == "ok: 2 properties, 1 sink, 3 workers\n"
    assert list(tmp_path.iterdir()) == [path], "a check leaves nothing behind"


_WEB = "[[property]]\nportal_id = 1\nprop_id = {}\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (_WEB.format(2), "1.2,"),
        (_WEB.format(2) + 'id = "shop"\norigins = ["https://a.example", "*"]\n', "shop,"),
        ("".join(map(_WEB.format, range(2, 7))), "1.2, 1.3, 1.4 and 2 more,"),
        (_WEB.format(2) + 'origins = ["https://a.example"]\n' + _WEB.format(3), "1.3,"),
    ],
)
def test_check_names_properties_that_pages_with_snowplow_s_tracker_can_not_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, named: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert main(["check", "--config", str(path)]) == 0
    (note,) = [line for line in capsys.readouterr().err.splitlines() if "Snowplow" in line]
    assert note.startswith("collector: note: pages can't use Snowplow's tracker with " + named)


@pytest.mark.parametrize(
    "text",
    [
        _WEB.format(2) + 'origins = ["https://a.example"]\n',
        _WEB.format(2) + 'dialects = ["segment"]\n',
        _WEB.format(2) + 'source = "pos"\n',
        '[server]\ndialects = ["segment"]\n' + _WEB.format(2),
    ],
)
def test_check_is_silent_about_properties_that_they_can_use_or_never_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert main(["check", "--config", str(path)]) == 0
    assert "Snowplow" not in capsys.readouterr().err


def test_check_takes_collector_toml_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "collector.toml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 0


@pytest.mark.parametrize("command", ["check", "serve"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nport = 70000", "server.port: "),
        (GOOD + "flush_bytes = 0", "sink[0].flush_bytes: "),
        ("x", "not TOML"),
    ],
)
def test_bad_settings_are_one_line_on_stderr_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, text: str, message: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert main([command, "--config", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"collector: {path}: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_missing_file_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(tmp_path / "none.toml")]) == 1
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"), [(["--help"], ["serve", "check"]), (["serve", "--help"], ["--config", "collector.toml"])]
)
def test_help_names_commands_and_options(
    capsys: pytest.CaptureFixture[str], arguments: list[str], named: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert all(word in out for word in named)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["check", "--confg", "x"], ["check", "x"]])
def test_a_wrong_call_is_exit_code_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: collector" in capsys.readouterr().err


def test_a_link_that_is_signed_leads_to_a_host_that_is_not_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path, workers=1) as collector:
        command = ["sign-url", "--config", str(tmp_path / "collector.toml"), "https://a.example.net/x?b=ü&c=d e"]
        assert main([*command, "--portal-id", "33167", "--prop-id", "564990801", "--expires", "1h"]) == 0
        link = capsys.readouterr().out.strip()
        target = "/event?portal_id=33167&prop_id=564990801&ea=click&ec=ad&sid=1&aid=a&uid=u&"
        response = collector.send("GET", target + link)
        assert (response.status, response.headers["location"]) == (302, "https://a.example.net/x?b=%C3%BC&c=d%20e")
        assert response.headers["x-event-id"]
        changed = link.replace("a.example.net", "b.example.net")
        assert collector.send("GET", target + changed).status == 400
        other = target.replace("prop_id=564990801", "prop_id=2")
        assert collector.send("GET", other + link).status == 400


@pytest.mark.parametrize(
    ("expires", "end"), [(None, "without end"), ("2999-12-31T00:00Z", "until 2999-12-31 00:00:00 UTC")]
)
def test_a_signed_link_says_which_property_it_is_for_and_until_when(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expires: str | None, end: str
) -> None:
    out, err = _sign(tmp_path, capsys, "https://a.example.net/", "1", "3", expires)
    assert err == f"valid for property 1/3 {end}\n"
    assert parse_qs(out.strip())["redirect_url"] == ["https://a.example.net/"]


@pytest.mark.parametrize(
    "expires", ["yesterday", "2001-01-01", "0d", "-1d", "30", "9999999d", "9999-12-31T23:59-23:00"]
)
def test_a_link_is_not_signed_until_a_time_that_is_none_or_has_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expires: str
) -> None:
    out, err = _sign(tmp_path, capsys, "https://a.example.net/", "1", "3", expires, code=2)
    assert out == ""
    assert err.startswith(f"collector: --expires: {expires!r} is ")


def test_a_link_is_signed_for_a_property_of_the_settings_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = _sign(tmp_path, capsys, "https://a.example.net/", "1", "9", code=1)
    assert out == ""
    assert "no property 1/9 in" in err


def _sign(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    url: str,
    portal_id: str,
    prop_id: str,
    expires: str | None = None,
    *,
    code: int = 0,
) -> tuple[str, str]:
    """What `sign-url` prints on stdout and on stderr."""
    path = folder / "c.toml"
    path.write_text(GOOD)
    command = ["sign-url", "--config", str(path), url, "--portal-id", portal_id, "--prop-id", prop_id]
    assert main([*command, *([f"--expires={expires}"] if expires else [])]) == code
    out, err = capsys.readouterr()
    return out, err


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//a.example.net", "https://u@a.example.net", "a.example.net"])
def test_what_would_not_be_followed_is_not_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
    out, err = _sign(tmp_path, capsys, url, "1", "2", code=2)
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("collector: redirect_url ")


@pytest.mark.parametrize("value", [None, "short"])
def test_a_write_key_that_is_not_set_is_reported_without_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(GOOD.replace("prop_id = 3", 'prop_id = 3\nwrite_keys = ["env:TRACKLOG_TEST_SHORT"]'))
    if value:
        monkeypatch.setenv("TRACKLOG_TEST_SHORT", value)
    assert main(["check", "--config", str(path)]) == 1
    err = capsys.readouterr().err
    assert "property[1].write_keys[0]: expected at least 16 characters in the environment's TRACKLOG_TEST_SHORT" in err
    assert "short" not in err


def test_a_url_that_is_not_utf_8_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("https://a.example.net/\udcff", "https://\udcff.example.net/"):
        out, err = _sign(tmp_path, capsys, url, "1", "2", code=2)
        assert out == ""
        assert "--expires" not in err
        assert err.startswith(("collector: URL: expected UTF-8, got 'https://a", "collector: redirect_url has a host"))


@pytest.mark.parametrize(
    "command",
    [
        ["count", "--by", "ea"],
        ["dead", "ls"],
        ["dead", "show", "3f9c2a7100112233-17"],
        ["redrive", "--dry-run"],
        ["sink", "ls"],
        ["sink", "drop", "gone"],
        ["replay", "--sink", "file", "--from", "1h"],
        ["audit"],
    ],
)
def test_a_folder_without_a_log_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(GOOD)
    assert main([*command, "--config", str(path)]) == 2
    assert "no log here, nor in a folder of it" in capsys.readouterr().err


_KEYS = """
[server]
relay_keys = ["env:TRACKLOG_TEST_KEY"]
[admin]
token = "env:TRACKLOG_TEST_KEY"
[session]
secret = "env:TRACKLOG_TEST_KEY"
[[property]]
portal_id = 1
prop_id = 2
write_keys = ["env:TRACKLOG_TEST_KEY"]
"""


def test_keys_that_end_in_a_line_break_are_faults_and_a_secret_of_that_form_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(_KEYS)
    monkeypatch.setenv("TRACKLOG_TEST_KEY", "0123456789abcdef\n")
    assert main(["check", "--config", str(path)]) == 1
    err = capsys.readouterr().err
    assert [line.split(": ")[2] for line in err.splitlines()] == [
        "server.relay_keys[0]",
        "admin.token",
        "property[0].write_keys[0]",
    ]
    assert err.count("begins or ends with white space") == 3
    assert "0123" not in err


@pytest.mark.parametrize("command", [[], ["serve"], ["check"], ["sign-url"], ["dead"], ["dead", "ls"], ["redrive"]])
def test_help_is_there_for_every_command(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert f"usage: collector {' '.join(command)}".strip() in capsys.readouterr().out


HOSTILE = "bad\x1b[2J\n\x9b\u202e"
HARMLESS = "bad\\u001b[2J\\n\\u009b\\u202e"


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """A settings file."""
    path = tmp_path / "collector.toml"
    path.write_text(GOOD)
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "--sink", "file", "--from", "2026-01-31T04:00Z", "--to", "2026-01-31T03:00Z"],
        ["replay", "--sink", "file", "--from", "9999-01-31T04:00Z"],
        *(
            [*command, "--since", "2026-01-31T04:00Z", "--until", "2026-01-31T03:00Z"]
            for command in (["audit"], ["count", "--by", "ea"], ["dead", "ls"], ["redrive"])
        ),
    ],
)
def test_times_that_end_before_they_begin_are_a_wrong_call(
    settings: str, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--config", settings])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("usage: collector ")) == ("", True)
    assert err.endswith(" ms before they begin, so that they select nothing\n")


def test_why_redrive_refuses_is_escaped(
    settings: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = redrive.RedriveReport(refused=Counter([HOSTILE]))
    monkeypatch.setattr("collector.cli.redrive.redrive", lambda *_: report)
    assert main(["redrive", "--config", settings]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"  1: {HARMLESS}"


def test_why_a_sink_refuses_a_replay_is_escaped(
    settings: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refused(*_: object) -> replay.ReplayReport:
        logging.getLogger("collector.ship.replay").warning("sink file: %s", HOSTILE)
        return replay.ReplayReport(events=1, refused={"a-1": HOSTILE})

    with monkeypatch.context() as patched:
        patched.setattr("collector.cli.replay.replay", refused)
        patched.setattr(logging.root, "handlers", [])  # those of pytest would keep the command from adding its own
        assert main(["replay", "--sink", "file", "--from", "10m ago", "--config", settings]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-2] == f"  a-1: {HARMLESS}"
    assert err.splitlines()[-1] == f"collector: sink file: {HARMLESS}"


def test_the_name_of_a_cursor_is_escaped(settings: str, tmp_path: Path) -> None:
    with closing(Log(str(tmp_path / "data/log/00"))) as log:
        log.commit(b"{}\n", 1)
    cursors = tmp_path / "data/log/00/cursors"
    cursors.mkdir()
    (cursors / f"{HOSTILE}.json").write_text("x")
    command = [str(PROGRAMS / "collector"), "sink", "ls", "--config", settings]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS)
    _, line = done.stdout.splitlines()
    cells = line.split("\t")
    assert cells[0] == HARMLESS
    assert "".join(cells).isprintable()
