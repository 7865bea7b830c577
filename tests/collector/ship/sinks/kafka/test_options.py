"""librdkafka's properties: passed through, checked before anything connects, and never seen in a message."""

from pathlib import Path
from typing import Any

import pytest

from collector.errors import BadSettings
from collector.ship.sinks.kafka.options import options_of
from collector.ship.sinks.kafka.settings import KafkaSinkSettings as Settings
from collector.ship.sinks.kafka.sink import KafkaSink

_SECRET = "hunter2-and-more"


def _settings(**options: str) -> Settings:
    return Settings(brokers=("a:1", "b:2"), options={name.replace("_", "."): text for name, text in options.items()})


def _refusal(settings: Settings) -> str:
    with pytest.raises(BadSettings) as caught:
        KafkaSink(settings, "kafka")
    return str(caught.value)


def test_brokers_and_options_are_what_librdkafka_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_PASSWORD", _SECRET)
    options = options_of(
        _settings(
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="collector",
            sasl_password="env:TRACKLOG_TEST_PASSWORD",
            ssl_ca_location="/etc/ssl/certs",
        )
    )
    assert options.properties["bootstrap.servers"] == "a:1,b:2"
    assert options.properties["security.protocol"] == "SASL_SSL"
    assert options.properties["sasl.password"] == _SECRET
    assert options.redacted(f"what {_SECRET} says") == "what *** says"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("no.such", "1", 'No such configuration property: "no.such"'),
        ("linger.ms", "soon", "Invalid value"),
        ("security.protocol", "TLS", "Invalid value"),
        ("error_cb", "x", "exactly once rests on it"),
        ("transactional.id", "mine", "exactly once rests on it"),
        ("enable.idempotence", "false", "exactly once rests on it"),
        ("acks", "1", "exactly once rests on it"),
        ("isolation.level", "read_uncommitted", "exactly once rests on it"),
        ("enable.auto.commit", "true", "exactly once rests on it"),
        ("test.mock.num.brokers", "3", "exactly once rests on it"),
        ("default.topic.config", "x", "expected a property"),
        ("dr_cb", "x", "exactly once rests on it"),
        ("opaque", "x", "dedicated"),
        ("bootstrap.servers", "c:3", "`brokers`"),
        ("compression.type", "lz4", "`compression`"),
        ("sasl.password", "env:TRACKLOG_TEST_UNSET", "TRACKLOG_TEST_UNSET to be set in the environment"),
    ],
)
def test_an_option_that_cannot_be_is_named_with_what_was_expected(name: str, value: str, text: str) -> None:
    refusal = _refusal(Settings(brokers=("a:1",), options={name: value}))
    assert refusal.startswith(f"sink kafka: options.{name}: expected ")
    assert text in refusal


@pytest.mark.parametrize("topic", ["events {source}", "événements", "a/b", "x" * 250])
def test_a_topic_that_kafka_would_not_have_is_refused(topic: str) -> None:
    assert "sink kafka: topic: expected" in _refusal(Settings(brokers=("a:1",), topic=topic))
    assert "sink kafka: cursor_topic: expected" in _refusal(Settings(brokers=("a:1",), cursor_topic=topic))


def test_a_secret_that_librdkafka_does_not_take_is_not_in_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_PASSWORD", _SECRET)
    refusal = _refusal(_settings(security_protocol="env:TRACKLOG_TEST_PASSWORD"))
    assert "options.security.protocol" in refusal
    assert _SECRET not in refusal


@pytest.mark.parametrize("options", [{}, {"linger_ms": "3", "sasl_mechanism": "PLAIN"}])
def test_to_check_settings_starts_no_thread_and_opens_no_connection(options: Any) -> None:
    before = _held()
    KafkaSink(_settings(**options), "kafka")
    assert _held() == before


def _held() -> list[str]:
    """Threads and open files of this process."""
    return sorted(path.name for folder in ("task", "fd") for path in Path("/proc/self", folder).iterdir())
