"""`env:NAME`: read in one place, and never shown."""

import ast
from pathlib import Path
from typing import Final

import pytest

import collector
from collector.errors import BadSettings
from collector.settings.environment import read_header_key, read_key, read_value, variable_of

_FOLDER = Path(collector.__file__).parent


@pytest.mark.parametrize(
    ("setting", "variable"),
    [("env:NAME", "NAME"), ("env:", ""), ("NAME", None), ("", None), ("xenv:NAME", None), ("ENV:NAME", None)],
)
def test_a_variable_is_what_follows_env(setting: str, variable: str | None) -> None:
    assert variable_of(setting) == variable


def test_a_value_that_stands_in_the_file_is_taken_unchanged() -> None:
    assert read_value("sink x: options.y", " as it is ") == " as it is "


def test_a_value_is_read_from_the_environment_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_VALUE", " as it is ")
    assert read_value("sink x: options.y", "env:TRACKLOG_TEST_VALUE") == " as it is "


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_variable_that_is_not_set_or_blank_is_refused(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("TRACKLOG_TEST_VALUE", raising=False)
    else:
        monkeypatch.setenv("TRACKLOG_TEST_VALUE", value)
    with pytest.raises(BadSettings) as caught:
        read_value("sink x: options.y", "env:TRACKLOG_TEST_VALUE")
    assert str(caught.value) == "sink x: options.y: expected TRACKLOG_TEST_VALUE to be set in the environment"


def test_a_key_has_at_least_16_characters_and_a_refusal_shows_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_VALUE", "0123456789abcdeü")
    assert read_key("session.secret", "env:TRACKLOG_TEST_VALUE") == "0123456789abcdeü".encode()
    monkeypatch.setenv("TRACKLOG_TEST_VALUE", "0123456789abcde")
    with pytest.raises(BadSettings) as caught:
        read_key("session.secret", "env:TRACKLOG_TEST_VALUE")
    assert str(caught.value).startswith("session.secret: expected at least 16 characters")
    assert "0123" not in str(caught.value)


_ENDS: Final = "it begins or ends with white space; make the secret without a line break"
_OTHERS: Final = "it has other characters; make another key"


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("0123456789abcdef\n", _ENDS),
        (" 0123456789abcdef", _ENDS),
        ("0123456789abcdef\r\n", _ENDS),
        ("01234567 89abcdef", _OTHERS),
        ("0123456789abcdeü", _OTHERS),
        ("0123456789abcdef\x7f", _OTHERS),
        ("0123456789abcdef\udcff", _OTHERS),
    ],
)
def test_a_key_that_not_every_client_sends_alike_is_refused_with_its_place_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, value: str, wrong: str
) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_VALUE", value)
    with pytest.raises(BadSettings) as caught:
        read_header_key("admin.token", "env:TRACKLOG_TEST_VALUE")
    message = str(caught.value)
    expected = "admin.token: expected TRACKLOG_TEST_VALUE to hold printable ASCII without spaces, but "
    assert message.startswith(expected + wrong)
    assert "0123" not in message


def test_a_key_of_all_printable_characters_is_taken_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    printable = bytes(range(0x21, 0x7F))
    monkeypatch.setenv("TRACKLOG_TEST_VALUE", printable.decode())
    assert read_header_key("admin.token", "env:TRACKLOG_TEST_VALUE") == printable


def _reads_the_environment(path: Path) -> bool:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return bool(names & {"environ", "environb", "getenv"}) or "env:" in texts


def test_one_module_reads_the_environment() -> None:
    readers = [path.relative_to(_FOLDER).as_posix() for path in _FOLDER.rglob("*.py") if _reads_the_environment(path)]
    assert readers == ["settings/environment.py"]
