"""`include`: properties in files of their own."""

import os
from pathlib import Path

import pytest

from collector.cli import main
from collector.errors import BadSettings
from collector.settings import Settings, load_settings, read_settings
from collector.settings.faults import has_fault


def _property(prop_id: int, more: str = "") -> str:
    return f"[[property]]\nportal_id = 1\nprop_id = {prop_id}\n{more}\n"


def _load(folder: Path, files: dict[str, str], main_text: str = 'include = ["properties/*.toml"]\n') -> Settings:
    for name, text in files.items():
        path = folder / "properties" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (folder / "collector.toml").write_text(main_text)
    return load_settings(str(folder / "collector.toml"))


def _faults(folder: Path, files: dict[str, str], main_text: str = 'include = ["properties/*.toml"]\n') -> list[str]:
    with pytest.raises(BadSettings) as caught:
        _load(folder, files, main_text)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def _ids(settings: Settings) -> list[int]:
    return [prop.prop_id for prop in settings.property]


def test_properties_of_included_files_follow_those_of_the_main_file_sorted_by_name(tmp_path: Path) -> None:
    files = {"b.toml": _property(4), "a.toml": _property(2) + _property(3), "c.txt": "not TOML", "empty.toml": ""}
    settings = _load(tmp_path, files, 'include = ["properties/*.toml"]\n' + _property(1))
    assert _ids(settings) == [1, 2, 3, 4]


def test_patterns_are_relative_to_the_settings_file_whatever_characters_its_folder_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "[a]*"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    _load(folder, {"a.toml": _property(1)})
    assert _ids(load_settings("[a]*/collector.toml")) == [1]


def test_a_relative_path_of_the_settings_file_gives_relative_paths_of_included_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _load(tmp_path, {"a.toml": _property(1)})
    (tmp_path / "properties/a.toml").write_text("x = 1")
    with pytest.raises(BadSettings, match=r"\Aproperties/a.toml: x: "):
        load_settings("collector.toml")


def test_a_file_that_two_patterns_match_is_read_once(tmp_path: Path) -> None:
    pattern = f'include = ["properties/a.toml", "properties/*.toml", "{tmp_path}/properties/*.toml"]\n'
    assert _ids(_load(tmp_path, {"a.toml": _property(1), "0.toml": _property(2)}, pattern)) == [1, 2]


def test_a_file_behind_a_symbolic_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(_property(7))
    (tmp_path / "properties").mkdir()
    (tmp_path / "properties/a.toml").symlink_to("../a.toml")
    assert _ids(_load(tmp_path, {})) == [7]


def test_a_fault_names_its_file_and_the_propertys_number_in_it(tmp_path: Path) -> None:
    files = {
        "a.toml": _property(2, 'ip = "trunkate"'),
        "b.toml": "",
        "c.toml": _property(3) + _property(4, 'source = "Web"\nack = "shipped"') + "[[property]]\nportal_id = 1",
    }
    assert _faults(tmp_path, files, 'include = ["properties/*.toml"]\n' + _property(1, "x = 1")) == [
        "collector.toml: property[0].x: no such setting",
        "properties/a.toml: property[0].ip: expected `full`, `truncate` or `drop`, got 'trunkate'; "
        "did you mean `truncate`?",
        "properties/c.toml: property[1].source: expected a name of at most 64 of a-z, 0-9, `_` and `-`, "
        "which begins with a letter or digit",
        "properties/c.toml: property[2].prop_id: missing; expected the data source of that account",
        "properties/c.toml: property[1].ack_sink: expected the name of a sink, got none",
    ]


def test_the_same_property_in_two_files_is_a_fault_that_names_both(tmp_path: Path) -> None:
    files = {"a.toml": _property(1) + _property(2), "b.toml": _property(2) + _property(1) + _property(3) * 2}
    assert _faults(tmp_path, files) == [
        f"properties/b.toml: property[{at}]: portal_id and prop_id are the same as in {other}; remove one of the two"
        for at, other in ((0, "property[1] of properties/a.toml"), (1, "property[0] of properties/a.toml"))
    ] + ["properties/b.toml: property[3]: portal_id and prop_id are the same as in property[2]; remove one of the two"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[server]\nport = 1", "server: an included file may hold [[property]] tables only; move this out of it"),
        ('include = ["*"]', "include: an included file may hold [[property]] tables only; move this out of it"),
        (
            "[[properti]]",
            "properti: an included file may hold [[property]] tables only; move this out of it; "
            "did you mean `property`?",
        ),
        ("[property]\nportal_id = 1", "property: expected `array`, got `dict`; write [[property]]"),
        ("property = [1]", "property[0]: expected `object`, that is a table, got `int`"),
        ("[[property", "not TOML: Expected ']]' at the end of an array declaration (at end of document)"),
    ],
)
def test_anything_else_in_an_included_file_is_a_fault_that_names_the_file(
    tmp_path: Path, text: str, fault: str
) -> None:
    assert _faults(tmp_path, {"a.toml": text, "b.toml": _property(1)}) == [f"properties/a.toml: {fault}"]


def test_what_is_no_readable_file_is_a_fault_and_the_others_are_still_checked(tmp_path: Path) -> None:
    folder = tmp_path / "properties"
    (folder / "folder.toml").mkdir(parents=True)
    (folder / "away.toml").symlink_to("/nowhere/a.toml")
    (folder / "loop.toml").symlink_to("loop.toml")
    os.mkfifo(folder / "pipe.toml")
    assert _faults(tmp_path, {"z.toml": _property(1, "x = 1")}) == [
        "properties/away.toml: a symbolic link to /nowhere/a.toml, which can't be reached; "
        "correct the file or `include`",
        "properties/folder.toml: expected a file, found a folder; correct the file or `include`",
        "properties/loop.toml: a symbolic link to loop.toml, which can't be reached; correct the file or `include`",
        "properties/pipe.toml: expected a file, found a device or pipe; correct the file or `include`",
        "properties/z.toml: property[0].x: no such setting",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_a_file_that_may_not_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "properties").mkdir()
    (tmp_path / "properties/a.toml").touch(mode=0o200)
    assert _faults(tmp_path, {}) == ["properties/a.toml: Permission denied; correct the file or `include`"]


@pytest.mark.parametrize("pattern", ["properties/*.toml", "typo.toml"])
def test_a_pattern_that_matches_no_file_is_a_fault(tmp_path: Path, pattern: str) -> None:
    (fault,) = _faults(tmp_path, {}, f'include = ["{pattern}"]')
    assert fault.startswith("collector.toml: include[0]: expected at least one file, found none for ")
    assert fault.endswith(f" in {tmp_path}; correct the pattern, or add a file, which may be empty")


@pytest.mark.parametrize(
    ("include", "fault"),
    [
        ('"a.toml"', "include: expected `array`, got `str`"),
        ("[1]", "include[0]: expected `str`, got `int`"),
        ('[""]', "include[0]: expected `str` of length >= 1"),
        ('["a\\u0000/*"]', "include[0]: expected a text without NUL characters"),
    ],
)
def test_an_include_of_another_type_is_a_fault(tmp_path: Path, include: str, fault: str) -> None:
    (found,) = _faults(tmp_path, {}, f"include = {include}")
    assert found.startswith(f"collector.toml: {fault}")


def test_check_names_the_file_of_a_write_key_that_is_not_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRACKLOG_TEST_NOT_SET", raising=False)
    text = _property(1) + _property(2, 'write_keys = ["env:TRACKLOG_TEST_NOT_SET"]')
    _load(tmp_path, {"a.toml": _property(3), "b.toml": text})
    assert main(["check", "--config", str(tmp_path / "collector.toml")]) == 1
    assert f"{tmp_path}/properties/b.toml: property[1].write_keys[0]: expected " in capsys.readouterr().err


def test_thousands_of_properties_are_read_and_so_are_thousands_of_faults(tmp_path: Path) -> None:
    many = "".join(_property(number) for number in range(1, 2001))
    _load(tmp_path, {"a.toml": many})
    (tmp_path / "properties/b.toml").write_text(many)
    read = read_settings(str(tmp_path / "collector.toml"))
    assert len(read.settings.property) == 4000
    assert len(read.faults) == 2000
    assert has_fault(read.faults, "property[3999]")
    assert not has_fault(read.faults, "property[1999]")
