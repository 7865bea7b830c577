"""The sinks that a collector has besides its file sink, and the records that arrived through each of them."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from tests.destinations.http import HttpReceiver
from tests.destinations.objects import Bucket
from tests.kafka.mock import MockCluster
from tests.kafka.topics import lines

CURSORS = "tracklog.cursors"
"""The topic that a mock cluster must have from its start; it makes those of events itself."""
_NUMBERS = count(1)


class Sinks:
    """An http, a Kafka and an objects sink of one collector. Close them before the cluster and the bucket's server."""

    def __init__(self, receiver: HttpReceiver, cluster: MockCluster, bucket: Bucket) -> None:
        self.cluster = cluster
        self._receiver = receiver
        self._bucket = bucket
        self._topics = f"number-{next(_NUMBERS)}."

    def settings(self) -> str:
        """The `[[sink]]` tables, as part of a template of settings."""
        tables = self._receiver.toml() + self._bucket.toml() + self._kafka()
        return tables.replace("{", "{{").replace("}", "}}")

    def readers(self) -> dict[str, Callable[[], list[dict[str, Any]]]]:
        """For each type of sink, a function that reads all records that arrived; twice if they arrived twice."""
        return {
            "http": lambda: _records(self._receiver.arrived()),
            "kafka": lambda: _records(lines(self.cluster.address, self._topics)),
            "objects": lambda: _records(self._bucket.arrived()),
        }

    def close(self) -> None:
        """Stop the receiver. The cluster goes on for the next test, also if this one failed while it was down."""
        self._receiver.close()
        self.cluster.up()

    def _kafka(self) -> str:
        return (
            f'[[sink]]\ntype = "kafka"\nbrokers = ["{self.cluster.address}"]\n'
            f'topic = "{self._topics}{{source}}"\ncursor_topic = "{CURSORS}"\n'
        )


def _records(found: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in found]
