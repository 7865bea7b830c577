"""The whole collector before real receivers: what was answered 200 is there once, whatever dies meanwhile."""

import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.destinations import Destination
from tests.destinations.clickhouse import ClickHouse, engine
from tests.destinations.http import HttpReceiver
from tests.destinations.http_receiver import POISON
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running

_SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 2
[[property]]
portal_id = 33167
prop_id = 564990801
required = []
"""
EVENTS = 40


@pytest.fixture(params=["HttpReceiver", "ClickHouse"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    with ExitStack() as stack:
        if request.param == "HttpReceiver":
            yield stack.enter_context(closing(HttpReceiver(tmp_path)))
        else:
            yield stack.enter_context(closing(ClickHouse(stack.enter_context(engine(tmp_path)))))


def _settings(destination: Destination) -> str:
    return _SETTINGS + destination.toml().replace("{", "{{").replace("}", "}}")


def _post(collector: Collector, count: int) -> list[str]:
    """Post events one by one, and return their ids."""
    responses = [collector.post({"ea": "view", "n": at}) for at in range(count)]
    assert {response.status for response in responses} == {200}
    return [response.headers["x-event-id"] for response in responses]


def _lines(collector: Collector) -> list[bytes]:
    """Every record of the log, as it stands there."""
    segments = sorted((collector.folder / "data/log").glob("*/seg-*.ndjson"))
    return [line for path in segments for line in path.read_bytes().splitlines() if line.startswith(b"{")]


def test_every_event_arrives_once_while_both_sides_are_killed(destination: Destination, tmp_path: Path) -> None:
    with running(tmp_path, 2, _settings(destination)) as collector:
        ids = _post(collector, EVENTS)
        destination.down()
        ids += _post(collector, EVENTS)
        collector.kill()
        destination.up()
        collector.start()
        ids += _post(collector, EVENTS)
        collector.kill()
        collector.start()
        eventually(lambda: len(destination.arrived()) >= len(ids), "all events arrived")
        assert collector.stop() == 0
        assert sorted(destination.arrived()) == sorted(_lines(collector))
        assert len(_lines(collector)) == len(set(ids)) == 3 * EVENTS


def _replay(collector: Collector, sink: str = "") -> None:
    """Replay everything to a sink, the first of the settings by default."""
    settings = collector.folder / "collector.toml"
    command = [str(PROGRAMS / "collector"), "replay", "--config", str(settings)]
    command += ["--sink", sink or tomllib.loads(settings.read_text())["sink"][0]["name"]]
    command += ["--from", "2024-01-01T00:00", "--to", "2100-01-01T00:00"]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)


def test_a_replay_arrives_once_more_however_often_it_is_run(destination: Destination, tmp_path: Path) -> None:
    with running(tmp_path, 1, _settings(destination)) as collector:
        _post(collector, EVENTS)
        eventually(lambda: len(destination.arrived()) == EVENTS, "all events arrived")
        assert collector.stop() == 0
        _replay(collector)
        _replay(collector)
        assert sorted(destination.arrived()) == sorted(_lines(collector) * 2)


def test_two_sinks_of_one_receiver_with_one_table_of_keys_both_deliver(tmp_path: Path) -> None:
    receiver = HttpReceiver(tmp_path)
    first = "\n".join(line for line in receiver.toml().splitlines() if not line.startswith("resume_url"))
    sinks = [
        first.replace("/events", f"/{name}").replace('"http"\nurl', f'"{name}"\nurl') for name in ("orders", "audit")
    ]
    settings = _SETTINGS + "\n".join(sinks)
    try:
        with running(tmp_path, 1, settings) as collector:
            _post(collector, EVENTS)
            for path in ("/orders", "/audit"):
                eventually(lambda path=path: len(receiver.arrived(path)) >= EVENTS, f"{path} has all")
            assert collector.stop() == 0
            assert receiver.arrived("/orders") == receiver.arrived("/audit") == _lines(collector)
            for name in ("orders", "audit", "orders"):
                _replay(collector, name)
            assert receiver.arrived("/orders") == receiver.arrived("/audit") == _lines(collector) * 2
    finally:
        receiver.close()


def test_what_is_refused_for_good_goes_to_the_dead_letters_and_the_rest_arrives(tmp_path: Path) -> None:
    receiver = HttpReceiver(tmp_path)
    try:
        with running(tmp_path, 1, _settings(receiver)) as collector:
            batch = b"\n".join(b'{"ea":"%b"}' % (POISON if at in (3, 17) else b"view") for at in range(20))
            assert collector.post(batch, content_type="application/x-ndjson").json()["accepted"] == 20
            eventually(lambda: len(receiver.arrived()) == 18 and len(collector.dead()) == 2, "halved until it is alone")
            assert collector.stop() == 0
            assert receiver.arrived() == [line for line in _lines(collector) if POISON not in line]
            assert all("answered 400: poison is not taken" in str(letter) for letter in collector.dead())
    finally:
        receiver.close()
