"""A transactional producer whose every call ends: by its deadline, or soon after `stop`."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from collector.ship.sinks.kafka.faults import HOPELESS, KafkaFault
from collector.ship.sinks.kafka.messages import Headers
from collector.ship.sinks.kafka.options import Options

_LIBRARY_LOGGER: Final = logging.getLogger("librdkafka")

TRANSACTION_SECONDS: Final = 60
"""After this long the coordinator aborts an open transaction by itself."""
_DELIVERY_SECONDS: Final = 40.0
_COMMIT_SECONDS: Final = 15.0
_START_SECONDS: Final = 20.0
_ABORT_SECONDS: Final = 5.0
STEP_SECONDS: Final = 0.1
"""How soon a waiting call notices `stop`."""
_CAUSE_STEPS: Final = 10

_PURGED: Final = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}

_PROPERTIES: Final[dict[str, object]] = {
    "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
    "message.timeout.ms": 30_000,
    "topic.metadata.propagation.max.ms": 10_000,
    "queue.buffering.max.kbytes": 32 << 10,
    "message.max.bytes": 2 << 20,  # above our longest event: the broker's limit is the one that counts
    "batch.size": 900_000,  # below the default limit of a broker
    "partitioner": "murmur2_random",  # as Java's clients do: one key, one partition, whoever sends
    "delivery.report.only.error": True,
}


class Transactions:
    """Transactions, one after another. Every error is raised as KafkaFault.

    The producer is never put into a local variable: an error's traceback would keep it alive, with its threads.
    """

    def __init__(self, options: Options, compression: str) -> None:
        callbacks = {"error_cb": self._on_error, "on_delivery": self._on_delivery, "logger": _LIBRARY_LOGGER}
        self._properties = _PROPERTIES | options.properties | {"compression.type": compression} | callbacks
        self._is_stopped = threading.Event()
        self._trouble: KafkaError | None = None
        self._is_away = False
        self._failure: KafkaFault | None = None
        self._may_abort = False
        self._producer: Producer | None = None

    def start(self, transactional_id: str) -> None:
        """Connect and fence the previous producer of this id: its open transaction is aborted."""
        self.drop()
        self._trouble = self._failure = None
        self._is_away = False
        self._producer = Producer(self._properties | {"transactional.id": transactional_id})
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_started():
            self._go_on(deadline)
            if self._trouble and self._is_away:
                raise KafkaFault(self._trouble)

    def begin(self) -> None:
        """Open a transaction."""
        self._trouble = self._failure = None
        with reported():
            self._live.begin_transaction()
        self._may_abort = True

    def send(self, topic: str, value: bytes, key: bytes | None, headers: Headers | None, partition: int = -1) -> None:
        """Add a message to the transaction; waits while the queue is full."""
        while True:
            try:
                self._live.produce(topic, value, key, partition, headers=headers)
            except BufferError:
                self._wait_for_room()
            except KafkaException as error:
                if error.args[0].code() in (KafkaError._FATAL, KafkaError._STATE):
                    self._raise_cause(topic)
                raise KafkaFault(error.args[0], topic) from None
            else:
                return

    def serve(self) -> None:
        """Take delivery reports. Raises KafkaFault for a message that failed."""
        with reported():
            self._live.poll(0)
        if self._failure:
            raise self._failure

    def commit(self) -> None:
        """Return once the transaction is durable. After a KafkaFault of the commit itself it may be durable or not."""
        deadline = time.monotonic() + _DELIVERY_SECONDS
        while not self._is_flushed():
            self._go_on(deadline)
        self.serve()
        self._may_abort = False
        with reported():
            self._live.commit_transaction(_COMMIT_SECONDS)

    def abort(self) -> None:
        """Undo the transaction at once, if the brokers are there; else the next start does it, or time.

        Then `start` again: a message that is sent soon after an abort may be undone with it.
        """
        if self._may_abort:
            self._may_abort = False
            with suppress(KafkaException, KafkaFault):
                self._live.abort_transaction(_ABORT_SECONDS)

    def drop(self) -> None:
        """Release the producer, its threads and connections. An open transaction is never committed.

        Not `Producer.close`, which waits a minute for a broker that is away; without a reference it ends at once.
        """
        self._may_abort = False
        self._producer = None
        self._is_stopped.clear()

    def stop(self) -> None:
        """End the current call in another thread soon, with a KafkaFault."""
        self._is_stopped.set()

    def check(self, deadline: float) -> None:
        """Raise KafkaFault if the call must not wait any longer."""
        if self._is_stopped.is_set():
            raise KafkaFault(KafkaError(KafkaError._INTR, "stopped"))
        if self._trouble and (self._trouble.code() in HOPELESS or time.monotonic() > deadline):
            raise KafkaFault(self._trouble)
        if time.monotonic() > deadline:
            raise KafkaFault(KafkaError(KafkaError._TIMED_OUT, "no answer in time"))

    @property
    def _live(self) -> Producer:
        if self._producer is None:
            raise KafkaFault(KafkaError(KafkaError._STATE, "not open"))
        return self._producer

    def _is_flushed(self) -> bool:
        with reported():
            return self._live.flush(STEP_SECONDS) == 0

    def _is_started(self) -> bool:
        try:
            self._live.init_transactions(STEP_SECONDS)
        except KafkaException as error:
            code = error.args[0].code()
            # the transaction of the one before is being aborted, or else the coordinator has just been started
            if code != KafkaError.CONCURRENT_TRANSACTIONS and not error.args[0].retriable():
                raise KafkaFault(error.args[0]) from None
            if code != KafkaError._TIMED_OUT:
                self._trouble = error.args[0]
                self._is_stopped.wait(STEP_SECONDS)
            return False
        return True

    def _raise_cause(self, topic: str) -> None:
        """Raise what ended the producer or its transaction, which its events and reports tell, if they do so soon."""
        for _ in range(_CAUSE_STEPS):
            with reported(topic):
                self._live.poll(STEP_SECONDS)
            if self._failure and self._failure.code not in _PURGED:
                raise self._failure

    def _wait_for_room(self) -> None:
        deadline = time.monotonic() + _DELIVERY_SECONDS
        before = len(self._live)
        while len(self._live) >= before:
            with reported():
                self._live.poll(STEP_SECONDS)
            self._go_on(deadline)

    def _go_on(self, deadline: float) -> None:
        self.serve()
        self.check(deadline)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # reported after the reason
            self._is_away = True
            self._trouble = self._trouble or error
        else:
            self._trouble = error

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        # a message is purged because another one failed, whose report may come later
        if error and (not self._failure or self._failure.code in _PURGED):
            self._failure = KafkaFault(error, message.topic() or "")


@contextmanager
def reported(topic: str = "") -> Iterator[None]:
    """Raise errors of Kafka's as KafkaFault."""
    try:
        yield
    except KafkaException as error:
        raise KafkaFault(error.args[0], topic) from None
    except SystemError as error:  # a fatal error is raised amid callbacks, of which the next finds it pending
        if not isinstance(error.__cause__, KafkaException):
            raise
        raise KafkaFault(error.__cause__.args[0], topic) from None
