"""A real Kafka as a destination: a topic for each source, with one partition, so that the order can be seen."""

import random
from pathlib import Path

from bench.kafka.broker import Broker
from tests.collector.ship.batches import record
from tests.kafka.topics import lines

_LARGEST = 64 << 10
_PROPERTIES = {"num.partitions": "1", "message.max.bytes": str(_LARGEST)}


class Kafka:
    """A Destination; see the protocol. Its poison is a record over the broker's limit, also when it is compressed."""

    poison: bytes | None = record(0, event=b'{"uid":"%b"}' % random.Random(1).randbytes(_LARGEST).hex().encode())
    knows_chain = True

    def __init__(self, folder: Path) -> None:
        self.broker = Broker(folder / "kafka", _PROPERTIES)
        self.up()

    def toml(self) -> str:
        return (
            f'[[sink]]\ntype = "kafka"\nbrokers = ["{self.broker.address}"]\n'
            "flush_seconds = 0.05\nflush_bytes = 65536\n"
        )

    def arrived(self) -> list[bytes]:
        return lines(self.broker.address, "events.")

    def down(self) -> None:
        self.broker.kill()

    def up(self) -> None:
        try:
            self.broker.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.broker.kill()
