"""What changed between two settings, and what it takes to come into effect."""

from collections import Counter

import pytest
from msgspec import inspect
from msgspec.structs import replace

from collector.settings import Limits, LogSettings, PropertySettings, ServerSettings, SessionSettings, Settings
from collector.settings.changes import Changes, changes
from collector.settings.effects import SETTINGS, Effect, effect_of
from collector.ship.sinks.file import FileSinkSettings
from collector.ship.sinks.http.settings import HttpSinkSettings

_PROPERTIES = tuple(PropertySettings(1, number) for number in range(1, 4))
_SINKS = (FileSinkSettings(dir="/a"), HttpSinkSettings(url="https://u:hunter2@h"))


def _settings() -> list[str]:
    """Every setting as the table of effects names it: `table.setting`, and an array by its name."""
    kind = inspect.type_info(Settings)
    assert isinstance(kind, inspect.StructType)
    names: list[str] = []
    for table in kind.fields:
        fields = table.type.fields if isinstance(table.type, inspect.StructType) else ()
        names += [f"{table.name}.{field.name}" for field in fields] or [table.name]
    return names


def test_each_setting_has_exactly_one_effect() -> None:
    listed = Counter(setting for settings in SETTINGS.values() for setting in settings)
    assert listed == Counter(_settings())
    assert set(SETTINGS) == set(Effect)


def test_equal_settings_have_no_changes() -> None:
    settings = Settings(property=_PROPERTIES, sink=_SINKS)
    assert changes(settings, replace(settings, property=_PROPERTIES[::-1])) == Changes((), (), ())
    assert not any(changes(settings, settings))


def test_a_changed_value_is_listed_with_the_old_and_the_new_one() -> None:
    old = Settings(server=ServerSettings(workers=2), limits=Limits(body_bytes=100_000))
    new = Settings(
        include=("p/*.toml",),
        server=ServerSettings(workers=3, port=9000, alias="/t", trusted_proxies=("10.0.0.0/8", "::1")),
        log=LogSettings(dir="/srv/log", retain_hours=1.5),
        limits=Limits(body_bytes=200_000),
    )
    assert changes(old, new) == Changes(
        swapped=("include: [] -> ['p/*.toml']", "limits.body_bytes: 100000 -> 200000"),
        rolled=(
            "server.alias: none -> '/t'",
            "server.trusted_proxies: [] -> ['10.0.0.0/8', '::1']",
            "log.retain_hours: 24.0 -> 1.5",
        ),
        restart=("server.port: 8080 -> 9000", "server.workers: 2 -> 3", "log.dir: 'data/log' -> '/srv/log'"),
    )


def test_properties_are_listed_by_their_ids_and_swapped() -> None:
    _, second, third = _PROPERTIES
    changed = replace(second, ip="drop", write_keys=("env:KEY",))
    found = changes(Settings(property=_PROPERTIES), Settings(property=(changed, third, PropertySettings(2, 1))))
    lines = ("property 1/1: removed", "property 1/2: changed write_keys, ip", "property 2/1: added")
    assert found == Changes(lines, (), ())


def test_sinks_are_listed_by_their_names_and_rolled() -> None:
    file, http = _SINKS
    new = (replace(http, headers={"authorization": "hunter2"}), FileSinkSettings(dir="/b", name="other"))
    lines = ("sink file: removed", "sink http: changed headers", "sink other: added")
    assert changes(Settings(sink=_SINKS), Settings(sink=new)) == Changes((), lines, ())
    assert changes(Settings(sink=(file,)), Settings(sink=(replace(http, name="file"),))).rolled == (
        "sink file: changed type",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Settings(sink=_SINKS), Settings()),
        (Settings(sink=_SINKS), Settings(sink=(replace(_SINKS[1], url="https://u:other@h"),))),
        (Settings(), Settings(server=ServerSettings(host="u:hunter2@h"))),
        (Settings(), Settings(log=LogSettings(dir="s3://u:hunter2@h"))),
    ],
)
def test_no_change_shows_a_password(old: Settings, new: Settings) -> None:
    text = "".join(line for lines in changes(old, new) + changes(new, old) for line in lines)
    assert text
    assert "hunter2" not in text


def test_a_secret_is_named_by_its_variable() -> None:
    new = Settings(session=SessionSettings(secret="env:NAME"))
    assert changes(Settings(), new).rolled == ("session.secret: none -> 'env:NAME'",)


def test_thousands_of_properties_are_compared() -> None:
    old = tuple(PropertySettings(1, number) for number in range(1, 5001))
    new = tuple(replace(prop, ip="drop") for prop in old)
    assert len(changes(Settings(property=old), Settings(property=new[::-1])).swapped) == 5000


def test_an_unknown_setting_has_no_effect() -> None:
    assert effect_of("limits.nesting") is Effect.SWAPPED
    with pytest.raises(KeyError):
        effect_of("limits.nest")
