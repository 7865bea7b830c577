"""A real Kafka as a destination: a topic for each source, with one partition, so that the order can be seen."""

import random
from itertools import count

from bench.kafka.broker import Broker
from tests.collector.ship.batches import record
from tests.kafka.topics import lines

_LARGEST = 64 << 10
PROPERTIES = {"num.partitions": "1", "message.max.bytes": str(_LARGEST)}
"""Of a broker that is a destination."""
_NUMBERS = count(1)


class Kafka:
    """A Destination; see the protocol. Its poison is a record over the broker's limit, also when it is compressed."""

    poison: bytes | None = record(0, event=b'{"uid":"%b"}' % random.Random(1).randbytes(_LARGEST).hex().encode())
    knows_chain = True

    def __init__(self, broker: Broker) -> None:
        """`broker` runs, and serves one destination after the other: its start takes seconds."""
        self._broker = broker
        self._name = f"test-{next(_NUMBERS)}"
        self._is_up = True

    def toml(self) -> str:
        return (
            f'[[sink]]\ntype = "kafka"\nbrokers = ["{self._broker.address}"]\n'
            f'topic = "{self._name}.{{source}}"\ncursor_topic = "{self._name}-cursors"\n'
            "flush_seconds = 0.05\nflush_bytes = 65536\n"
        )

    def arrived(self) -> list[bytes]:
        return lines(self._broker.address, f"{self._name}.")

    def down(self) -> None:
        self._is_up = False
        self._broker.kill()

    def up(self) -> None:
        self._broker.start()
        self._is_up = True

    def close(self) -> None:
        if not self._is_up:
            self.up()
