"""Environment variables that override settings: of each type, and faults that name the variable."""

from pathlib import Path

import pytest

from collector.cli import main
from collector.errors import BadSettings
from collector.settings import Settings, load_settings
from collector.settings.overrides import read_overrides, variable_name


def _load(folder: Path, text: str = "") -> Settings:
    (folder / "collector.toml").write_text(text)
    return load_settings(str(folder / "collector.toml"))


def _faults(folder: Path, text: str = "") -> list[str]:
    with pytest.raises(BadSettings) as caught:
        _load(folder, text)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("TRACKLOG_SERVER__PORT", "9000", 9000),
        ("TRACKLOG_SERVER__HOST", "::1", "::1"),
        ("TRACKLOG_SERVER__ALIAS", "/t", "/t"),
        ("TRACKLOG_LOG__RETAIN_HOURS", "36", 36.0),
        ("TRACKLOG_LOG__STALL_SECONDS", "0.5", 0.5),
        ("TRACKLOG_SESSION__SECRET", "env:NAME", "env:NAME"),
        ("TRACKLOG_DEAD_LETTERS__RETAIN_BYTES", "5", 5),
        ("TRACKLOG_LIMITS__NESTING", "7", 7),
    ],
)
def test_a_variable_overrides_file_and_default_with_a_value_of_the_settings_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    table, _, name = variable.removeprefix("TRACKLOG_").lower().partition("__")
    for file in ("", '[server]\nport = 1\nalias = "/u"\nhost = "::"\n[limits]\nnesting = 8\n[log]\nretain_hours = 1'):
        found = getattr(getattr(_load(tmp_path, file), table), name)
        assert (type(found), found) == (type(value), value)


def test_a_folder_of_a_variable_is_relative_to_the_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLOG_LOG__DIR", "elsewhere")
    assert _load(tmp_path).log.dir == str(tmp_path / "elsewhere")


def test_an_empty_variable_unsets_a_setting_that_need_not_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLOG_SERVER__ALIAS", "")
    assert _load(tmp_path, '[server]\nalias = "/t"').server.alias is None


@pytest.mark.parametrize(
    ("variable", "text", "fault"),
    [
        ("TRACKLOG_SERVER__PORT", "http", "expected an integer, such as 60"),
        ("TRACKLOG_SERVER__PORT", "", "expected an integer, such as 60"),
        ("TRACKLOG_SERVER__PORT", "9" * 5000, "expected an integer, such as 60"),
        ("TRACKLOG_SERVER__PORT", "70000", "expected `int` <= 65535, got 70000"),
        ("TRACKLOG_LOG__RETAIN_HOURS", "1h", "expected a number, such as 60 or 0.5"),
        ("TRACKLOG_LOG__STALL_SECONDS", "nan", "expected `float` > 0.0, got nan"),
        ("TRACKLOG_SERVER__HOST", "\udcff", "expected UTF-8 text"),
        ("TRACKLOG_SERVER__ALIAS", "/event", "/event is already a path of the collector; choose another"),
        (
            "TRACKLOG_LOG__WARN_FREE_BYTES",
            "5",
            "expected at least log.min_free_bytes, 536870912, got 5: the warning must precede shedding",
        ),
        (
            "TRACKLOG_SESSION__SECRET",
            "hunter2-of-the-tests",
            "expected `env:NAME`, where NAME is the environment variable that holds the value",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_a_fault_that_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, fault: str
) -> None:
    monkeypatch.setenv(variable, text)
    assert _faults(tmp_path) == [f"{variable}: {fault}"]


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("TRACKLOG_SERVER__PROT", "; did you mean `TRACKLOG_SERVER__PORT`?"),
        ("TRACKLOG_server__port", "; did you mean `TRACKLOG_SERVER__PORT`?"),
        ("TRACKLOG_PROPERTY__IP", ""),
        ("TRACKLOG_SERVER__PORT__X", "; did you mean `TRACKLOG_SERVER__PORT`?"),
        ("TRACKLOG___", ""),
    ],
)
def test_an_unknown_variable_is_a_fault_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, hint: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert _faults(tmp_path) == [f"{variable}: no such setting{hint}"]


def test_a_variable_for_a_list_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_SERVER__TRUSTED_PROXIES", "10.0.0.0/8")
    assert _faults(tmp_path) == [
        "TRACKLOG_SERVER__TRUSTED_PROXIES: expected a setting of one value; set a list in the file"
    ]


def test_faults_of_variables_and_of_the_file_are_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKLOG_LOG__MIN_FREE_BYTES", "many")
    monkeypatch.setenv("TRACKLOG_SERVER__PROT", "1")
    path = tmp_path / "collector.toml"
    path.write_text('[log]\nmin_free_bytes = "a"\nwarn_free_bytes = 1\n[server]\nport = "80"')
    assert main(["check", "--config", str(path)]) == 1
    lines = capsys.readouterr().err.replace("collector: ", "").splitlines()
    assert lines == [
        "TRACKLOG_LOG__MIN_FREE_BYTES: expected an integer, such as 60",
        "TRACKLOG_SERVER__PROT: no such setting; did you mean `TRACKLOG_SERVER__PORT`?",
        f"{path}: server.port: expected `int`, got `str`",
    ]


def test_a_table_that_is_none_keeps_its_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_SERVER__PORT", "80")
    assert _faults(tmp_path, "server = 1") == [
        f"{tmp_path}/collector.toml: server: expected `object`, that is a table, got `int`"
    ]


def test_other_variables_are_left_alone() -> None:
    environment = {"TRACKLOG_CONFIG": "x", "TRACKLOG_PORT_8080_TCP": "x", "SERVER__PORT": "x", "TRACKLOG": "x"}
    assert read_overrides(environment) == ({}, {}, [])


def test_the_variable_of_a_setting_is_its_path_in_capitals() -> None:
    assert variable_name("dead_letters.retain_hours") == "TRACKLOG_DEAD_LETTERS__RETAIN_HOURS"
