"""librdkafka's mock cluster, hosted by this process for others: what stands in for Kafka where there is no Java.

It keeps what it is sent in memory, knows nothing of aborted transactions, and does not check what a user may do.
"""

import ctypes
from pathlib import Path

import confluent_kafka

_PRODUCER = 0
_NODE = 1


class MockCluster:
    """One node on a port of 127.0.0.1, until `close`."""

    def __init__(self, *topics: str) -> None:
        """These topics have one partition; others are made when they are asked for, by any but an admin's client."""
        self._library = _library()
        self._client = self._started()
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(self._client, 1))
        assert self._cluster, "there is no mock cluster in this librdkafka"
        for topic in topics:
            self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), 1, 1)
        self.address: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def down(self) -> None:
        """End all connections and take no new ones. What has arrived stays."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, _NODE)

    def up(self) -> None:
        """Take connections again."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, _NODE)

    def close(self) -> None:
        """Forget all."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._library.rd_kafka_destroy(self._client)
            self._cluster = ctypes.c_void_p()

    def _started(self) -> ctypes.c_void_p:
        text = ctypes.create_string_buffer(512)
        settings = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", text, ctypes.c_size_t(len(text)))
        client = self._library.rd_kafka_new(_PRODUCER, settings, text, ctypes.c_size_t(len(text)))
        assert client, text.value
        return ctypes.c_void_p(client)


def _library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka has loaded, with the types of what is called here."""
    (path,) = Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*.so*")
    library = ctypes.CDLL(str(path))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_broker_set_down.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.rd_kafka_mock_broker_set_up.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    return library
