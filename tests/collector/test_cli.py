"""The command line: what it prints, and how it exits."""

from pathlib import Path

import pytest

from collector.cli import main
from tests.running import running

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
    assert capsys.readouterr().out == "ok: 2 properties, 1 sinks, 3 workers\n"
    assert list(tmp_path.iterdir()) == [path], "a check leaves nothing behind"


def test_check_takes_collector_toml_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "collector.toml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 0


@pytest.mark.parametrize("command", ["check", "serve"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nport = 70000", "server.port: "),
        (GOOD + "flush_bytes = 0", "sink[0].flush_bytes: "),
        ("x", "not TOML"),
    ],
)
def test_bad_settings_are_one_line_on_stderr_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, text: str, said: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    assert main([command, "--config", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"collector: {path}: ")
    assert said in err
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
        assert (
            main(["sign-url", "--config", str(tmp_path / "collector.toml"), "https://a.example.net/x?b=ü&c=d e"]) == 0
        )
        link = capsys.readouterr().out.strip()
        target = "/event?portal_id=33167&prop_id=564990801&ea=click&ec=ad&sid=1&aid=a&uid=u&"
        response = collector.send("GET", target + link)
        assert (response.status, response.headers["location"]) == (302, "https://a.example.net/x?b=%C3%BC&c=d%20e")
        assert response.headers["x-event-id"]
        changed = link.replace("a.example.net", "b.example.net")
        assert collector.send("GET", target + changed).status == 400


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//a.example.net", "https://u@a.example.net", "a.example.net"])
def test_what_would_not_be_followed_is_not_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(GOOD)
    assert main(["sign-url", "--config", str(path), url]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("collector: redirect_url ")


@pytest.mark.parametrize("value", [None, "short"])
def test_a_write_key_that_is_not_set_is_told_without_the_key(
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


@pytest.mark.parametrize("command", [[], ["serve"], ["check"], ["sign-url"], ["dead"], ["dead", "ls"], ["redrive"]])
def test_help_is_there_for_every_command(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert f"usage: collector {' '.join(command)}".strip() in capsys.readouterr().out
