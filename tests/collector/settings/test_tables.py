"""`collector.toml`: defaults, folders, and the refusal of everything that can't be used."""

import os
from pathlib import Path

import pytest

from collector.errors import BadSettings
from collector.settings import EVENT_FIELDS, Limits, PropertySettings, Settings, load_settings
from collector.settings.cpus import usable_cpus
from collector.ship.sinks.file import FileSinkSettings

PROPERTY = "[[property]]\nportal_id = 1\nprop_id = 2\n"
KAFKA = '[[sink]]\ntype = "kafka"\n'
SINK = '[[sink]]\ntype = "file"\ndir = "events"\n'


def _load(folder: Path, text: str) -> Settings:
    path = folder / "collector.toml"
    path.write_text(text)
    return load_settings(str(path))


def test_an_empty_file_gives_every_setting_its_default(tmp_path: Path) -> None:
    settings = _load(tmp_path, "")
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.server.workers == usable_cpus()
    assert settings.limits == Limits()
    assert (settings.limits.event_bytes, settings.limits.body_bytes, settings.limits.url_bytes) == (
        64 << 10,
        5 << 20,
        20 << 10,
    )
    assert (settings.limits.nesting, settings.limits.body_seconds) == (64, 10)
    assert (settings.limits.header_seconds, settings.limits.batch_events) == (10, 1000)
    assert (settings.session.secret, settings.session.timeout_seconds) == (None, 30 * 60)
    assert (settings.property, settings.sink) == ((), ())


def test_a_property_and_a_sink_need_no_more_than_their_places(tmp_path: Path) -> None:
    settings = _load(tmp_path, PROPERTY + SINK)
    assert settings.property == (PropertySettings(1, 2),)
    assert settings.property[0].required == EVENT_FIELDS == ("ea", "ec", "sid", "aid", "uid")
    assert settings.property[0].source == "web"
    assert settings.sink == (FileSinkSettings(dir=str(tmp_path / "events")),)


def test_folders_are_relative_to_the_file_and_not_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "etc" / "c.toml").write_text('[dead_letters]\ndir = "/srv/dead"\n' + SINK)
    settings = load_settings("../etc/c.toml")
    folder = tmp_path / "elsewhere" / ".." / "etc"
    assert os.path.realpath(settings.log.dir) == str(tmp_path / "etc/data/log")
    (sink,) = settings.sink
    assert isinstance(sink, FileSinkSettings)
    assert os.path.realpath(sink.dir) == str(tmp_path / "etc/events")
    assert os.path.isabs(settings.log.dir)
    assert os.path.samefile(folder, tmp_path / "etc")
    assert settings.dead_letters.dir == "/srv/dead"


@pytest.mark.parametrize("origin", ["https://shop.example.com", "http://localhost:8000", "capacitor://localhost", "*"])
def test_an_origin_as_browsers_send_it_is_taken(tmp_path: Path, origin: str) -> None:
    assert _load(tmp_path, f'{PROPERTY}origins = ["{origin}"]').property[0].origins == (origin,)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        pytest.param("[server]\nprot = 80", "server.prot", "did you mean `port`?", id="a misspelt key"),
        pytest.param("[sever]\nport = 80", "sever", "did you mean `server`?", id="a misspelt table"),
        pytest.param("server = 1", "server", "object", id="a value for a table"),
        pytest.param("[server]\nport = 65536", "server.port", "<= 65535", id="a port too high"),
        pytest.param("[server]\nport = -1", "server.port", ">= 0", id="a port too low"),
        pytest.param('[server]\nport = "80"', "server.port", "`int`", id="a port of another type"),
        pytest.param("[server]\nworkers = 0", "server.workers", ">= 1", id="no workers"),
        pytest.param("[server]\nhost = ''", "server.host", ">= 1", id="no host"),
        pytest.param("[log]\nsegment_bytes = 1", "log.segment_bytes", ">= 1048576", id="tiny segments"),
        pytest.param("[limits]\nevent_bytes = 1023", "limits.event_bytes", ">= 1024", id="tiny events"),
        pytest.param("[limits]\nbody_seconds = 0", "limits.body_seconds", "> 0", id="no time at all"),
        pytest.param("[limits]\nbody_seconds = nan", "limits.body_seconds", "> 0", id="not a number"),
        pytest.param("[limits]\nbody_seconds = inf", "limits.body_seconds", "<= 86400", id="endless"),
        pytest.param(
            "[limits]\nevent_bytes = 4096\nbody_bytes = 2048",
            "limits.event_bytes",
            "at most limits.body_bytes",
            id="events larger than bodies",
        ),
        pytest.param(
            "[limits]\nbody_bytes = 6291456\nin_flight_bytes = 8388607",
            "limits.in_flight_bytes",
            ">= 8388608",
            id="no room for bodies",
        ),
        pytest.param('[server]\ntls_key = "k"', "server.tls_certificate", "server.tls_key is set", id="a key alone"),
        pytest.param('[server]\ntls_certificate = "c"', "server.tls_key", "a file", id="a certificate alone"),
        pytest.param("[log]\nwarn_free_bytes = 1", "log.warn_free_bytes", "log.min_free_bytes", id="a late warning"),
        pytest.param("[limits]\nheader_seconds = 0", "limits.header_seconds", "> 0", id="no time for headers"),
        pytest.param("[limits]\nconnections = 0", "limits.connections", ">= 1", id="no connections"),
        pytest.param("[limits]\nbatch_events = 0", "limits.batch_events", ">= 1", id="empty batches"),
        pytest.param('[server]\nalias = "t"', "server.alias", "a path such as `/t`", id="an alias that is no path"),
        pytest.param('[server]\nalias = "/a?b"', "server.alias", "a path", id="an alias with a query"),
        pytest.param(
            '[server]\nalias = "/event"',
            "server.alias",
            "/event is already a path",
            id="an alias that is there already",
        ),
        pytest.param(
            '[server]\nalias = "/openapi.json"', "server.alias", "already a path", id="an alias of another document"
        ),
        pytest.param('[server]\nhealth_path = "h"', "server.health_path", "or an empty text", id="health at no path"),
        pytest.param('[server]\nhealth_path = "/event"', "server.health_path", "already a path", id="health at events"),
        pytest.param(
            '[server]\nalias = "/healthz"',
            "server.health_path",
            "also server.alias",
            id="health and an alias at one path",
        ),
        pytest.param('[server]\nalias = "/t.js"', "server.alias", "already a path", id="an alias at the script"),
        pytest.param('[server]\nalias = "/t.0f.js"', "server.alias", "already a path", id="an alias at its hash"),
        pytest.param(
            PROPERTY + "id = 'shop'\n[server]\ndemo = 'shp'", "server.demo", "mean `shop`?", id="a demo of no property"
        ),
        pytest.param('[admin]\nhost = "0.0.0.0"', "admin.token", "set a token", id="an open admin address"),
        pytest.param('[admin]\nhost = "node-1"', "admin.token", "'node-1'", id="an admin address by its name"),
        pytest.param('[admin]\ntoken = "secret"', "admin.token", "env:NAME", id="an admin token in the file"),
        pytest.param(
            '[server]\ntrusted_proxies = ["x"]',
            "server.trusted_proxies[0]",
            "10.0.0.0/8",
            id="a proxy that is no network",
        ),
        pytest.param(
            '[server]\ntrusted_proxies = ["10.0.0.1/8"]', "server.trusted_proxies[0]", "host bits", id="half a network"
        ),
        pytest.param(PROPERTY + 'write_keys = ["key"]', "property[0].write_keys[0]", "env:", id="a key in the file"),
        pytest.param(PROPERTY + "events_per_second = -1", "property[0].events_per_second", ">= 0", id="a rate below 0"),
        pytest.param(PROPERTY + 'ip = "hash"', "property[0].ip", "'hash'", id="an unknown rule for addresses"),
        pytest.param('[session]\nsecret = "NAME"', "session.secret", "env:", id="a secret in the file"),
        pytest.param('[session]\nsecret = "env:"', "session.secret", "env:", id="a secret of no name"),
        pytest.param('[session]\nsecret = "env:MY-KEY"', "session.secret", "env:", id="a secret of no such name"),
        pytest.param('[[sink]]\ntype = "carrier-pigeon"', "sink[0].type", "'carrier-pigeon'", id="an unknown sink"),
        pytest.param(
            '[[sink]]\ntype = "file"', "sink[0].dir", "missing; expected folder", id="a sink without its place"
        ),
        pytest.param(SINK + "topic = 1", "sink[0].topic", "no such setting", id="a setting of another sink"),
        pytest.param(SINK + "flush_bytes = 0", "sink[0].flush_bytes", ">= 1", id="a sink's bounds"),
        pytest.param(SINK + 'name = "../x"', "sink[0].name", "a name of", id="a sink's name that leads elsewhere"),
        pytest.param(KAFKA + "brokers = []", "sink[0].brokers", ">= 1", id="no broker"),
        pytest.param(KAFKA + 'brokers = ["a"]\ntopic = "{uid}"', "sink[0].topic", "{source}", id="a topic by visitor"),
        pytest.param(PROPERTY + 'ack = "shipped"', "property[0].ack_sink", "a sink", id="waiting for no sink"),
        pytest.param(PROPERTY + 'ack = "shipped"\nack_sink = "x"', "property[0].ack_sink", "'x'", id="no such sink"),
        pytest.param(SINK + SINK, "sink[1]", "remove one of the two", id="a sink's name twice"),
        pytest.param(PROPERTY + PROPERTY, "property[1]", "remove one of the two", id="a property twice"),
        pytest.param("[[property]]\nportal_id = 1", "property[0].prop_id", "missing", id="half a property"),
        pytest.param("[[property]]\nportal_id = 0\nprop_id = 1", "property[0].portal_id", ">= 1", id="portal 0"),
        pytest.param(PROPERTY + 'source = "Web"', "property[0].source", "a name of", id="a source that is no name"),
        pytest.param(PROPERTY + 'required = ["ea", "eb"]', "property[0].required[1]", "'eb'", id="an unknown field"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_path_and_what_was_expected(
    tmp_path: Path, text: str, path: str, expected: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        _load(tmp_path, text)
    file = str(tmp_path / "collector.toml")
    assert str(caught.value).startswith(f"{file}: {path}: " if path else f"{file}: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "origin",
    [
        "shop.example.com",
        "https://shop.example.com/",
        "https://shop.example.com/path",
        "https://SHOP.example.com",
        "https://",
        "//shop.example.com",
        "https://[::1",
        "https://user:password@shop.example.com",
        "null",
        "",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(BadSettings, match=r"property\[0\]\.origins\[0\]: expected an origin"):
        _load(tmp_path, f'{PROPERTY}origins = ["{origin}"]')


@pytest.mark.parametrize(
    "host",
    [
        "https://shop.example.com",
        "shop.example.com/",
        "shop.example.com:443",
        "user@shop.example.com",
        "SHOP.example.com",
        "münchen.example.com",
        "shop.*.com",
        "*.*.example.com",
        "*",
        "*.",
        "",
        "shop example.com",
    ],
)
def test_a_redirect_host_that_is_no_host_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadSettings, match=r"property\[0\]\.redirect_hosts\[0\]: expected a host, for example "):
        _load(tmp_path, f'{PROPERTY}redirect_hosts = ["{host}"]')


def test_a_refusal_never_shows_a_secret_that_stands_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        _load(tmp_path, '[session]\nsecret = "correct-horse-battery"')
    assert "correct-horse-battery" not in str(caught.value)


@pytest.mark.parametrize("content", [b"[server", b"port = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "collector.toml"
    path.write_bytes(content)
    with pytest.raises(BadSettings, match="not TOML"):
        load_settings(str(path))


def test_a_missing_file_is_refused_with_the_way_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"nowhere\.toml: No such file .* --config"):
        load_settings(str(tmp_path / "nowhere.toml"))


def test_nested_too_deeply_is_not_toml(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("a = " + "[" * 10_000)
    with pytest.raises(BadSettings, match="not TOML: arrays or tables are nested too deeply"):
        load_settings(str(tmp_path / "c.toml"))


def test_a_folder_of_settings_must_be_utf_8(tmp_path: Path) -> None:
    folder = Path(f"{tmp_path}/\udcff")
    folder.mkdir()
    (folder / "c.toml").touch()
    with pytest.raises(BadSettings, match="not UTF-8; move the settings file"):
        load_settings(str(folder / "c.toml"))


def test_no_text_holds_a_nul(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[log]\ndir = "a\\u0000b"\n')
    with pytest.raises(BadSettings, match=r"log\.dir: expected a text without NUL characters"):
        load_settings(str(tmp_path / "c.toml"))
