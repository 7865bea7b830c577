"""What errors of Kafka mean for a batch."""

from confluent_kafka import KafkaError

from collector.ship.sinks.kafka.faults import KafkaFault


def test_a_certificate_that_nobody_vouches_for_is_one_also_where_only_the_text_says_so() -> None:
    text = "sasl_ssl://127.0.0.1:9093/bootstrap: error:0A000086:SSL routines::certificate verify failed (after 12ms)"
    fault = KafkaFault(KafkaError(KafkaError._TRANSPORT, text))
    assert not fault.is_away
    assert str(fault.as_sink_error("id", "127.0.0.1:9093", "cursors")).endswith(
        "check sasl.* and ssl.* in the options of the sink"
    )
