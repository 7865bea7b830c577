"""The Kafka sink: a batch is a transaction of the events and our cursor, so that Kafka has both or neither.

The cursor in Kafka is the truth, ours a hint: opening the sink fences the previous producer, and delivery continues
where Kafka's cursor says. So a commit whose response was lost is resolved when the sink is opened again, and a batch
that the brokers do not take in time can go out in several transactions.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from confluent_kafka import KafkaError

from collector.ship.batch import Batch, slice_batch
from collector.ship.mark import Mark, Resumption
from collector.ship.sinks.kafka.cloudevents import headers_of
from collector.ship.sinks.kafka.cursors import PARTITION, CursorTopic, KafkaCursor
from collector.ship.sinks.kafka.faults import KafkaFault
from collector.ship.sinks.kafka.messages import Messages
from collector.ship.sinks.kafka.options import options_of
from collector.ship.sinks.kafka.settings import KafkaSinkSettings
from collector.ship.sinks.kafka.transactions import Transactions

T = TypeVar("T")
_STRIDE: Final = 32
_YIELD_SECONDS: Final = 5e-5
_QUICK_SECONDS: Final = 5.0
"""A transaction that took less leaves room for one of twice as many events."""


class KafkaSink:
    """Events as messages. A log and a consumer have one transactional id and one cursor."""

    def __init__(self, settings: KafkaSinkSettings, consumer: str) -> None:
        """Raises BadSettings for an option that librdkafka does not take, or that would break exactly once."""
        self._settings = settings
        self._consumer = consumer
        self._options = options_of(settings)
        self._messages = Messages(settings)
        self._transactions = Transactions(self._options, settings.compression)
        self._id = self._key = ""
        self._cursor = KafkaCursor(0)
        self._most = 0
        """Most events in a transaction; 0 is all of a batch, until the brokers do not take so many in time."""
        self._lock = threading.Lock()  # a call that is cancelled goes on in its thread for a moment

    async def open(self, log_id: str, sequence: int) -> Resumption:
        """Fence the previous producer, and continue where Kafka's cursor says, or at `sequence` without one."""
        return await self._threaded(lambda: self._open(log_id, sequence))

    async def deliver(self, batch: Batch) -> None:
        """Commit the events that Kafka does not have yet, and the cursor after them."""
        await self._threaded(lambda: self._deliver(batch))

    async def close(self) -> None:
        """Drop the producer. An open transaction is never committed."""
        self._transactions.stop()
        await asyncio.to_thread(self._locked, self._transactions.drop)

    async def _threaded(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(self._locked, call)
        except asyncio.CancelledError:
            self._transactions.stop()
            raise

    def _locked(self, call: Callable[[], T]) -> T:
        with self._lock:
            try:
                return call()
            except KafkaFault as fault:
                settings = self._settings
                error = fault.as_sink_error(self._id, ", ".join(settings.brokers), settings.cursor_topic)
                raise type(error)(self._options.redacted(str(error))) from None

    def _open(self, log_id: str, sequence: int) -> Resumption:
        self._id = f"tracklog-{log_id}-{self._consumer}"
        self._key = f"{log_id}/{self._consumer}"
        self._transactions.start(self._id)
        topic = CursorTopic(self._options, self._settings.cursor_topic, self._id)
        found = topic.read(self._key, self._transactions.check)
        self._cursor = found or KafkaCursor(0)
        if found is None:
            return Resumption(sequence)
        mark = Mark(found.settled, found.chain, f"record {self._key} of topic {self._settings.cursor_topic}")
        return Resumption(sequence if sequence == found.settled else found.next, mark)

    def _deliver(self, batch: Batch) -> None:
        while part := slice_batch(batch, self._cursor.next, self._most):
            begun = time.monotonic()
            self._transactions.check(math.inf)
            try:
                self._commit(part, KafkaCursor(part.last + 1, part.chain))
            except KafkaFault as fault:
                if not fault.is_away:
                    self._transactions.abort()
                if fault.is_refusal(self._settings.cursor_topic):
                    self._go_on_without(batch)
                elif fault.is_late:
                    self._most = max(1, part.records // 2)
                raise
            if part.records == self._most and time.monotonic() - begun < _QUICK_SECONDS:
                self._most *= 2

    def _go_on_without(self, batch: Batch) -> None:
        """Prepare for a part of a batch that was refused.

        A single event that is refused becomes a dead letter, and Kafka's cursor records that. Otherwise the next start
        would find our cursor ahead of Kafka's, go back, and write a second dead letter.
        """
        self._transactions.start(self._id)
        if batch.records == 1:
            self._commit(batch._replace(parts=()), KafkaCursor(batch.first, batch.chain, is_refused=True))

    def _commit(self, batch: Batch, cursor: KafkaCursor) -> None:
        self._transactions.begin()
        for count, event in enumerate(batch.events()):
            self._send(event.line)
            if count % _STRIDE == 0:
                self._transactions.serve()
                time.sleep(_YIELD_SECONDS)  # lets go of the interpreter's lock for intake
        self._transactions.send(
            self._settings.cursor_topic, msgspec.json.encode(cursor), self._key.encode(), None, PARTITION
        )
        self._transactions.commit()
        self._cursor = cursor

    def _send(self, line: bytes) -> None:
        try:
            message = self._messages.of(line)
            headers = message.headers
            if self._settings.format == "cloudevents":
                headers = headers_of(line) + (headers or [])
        except msgspec.DecodeError as error:
            raise KafkaFault(KafkaError(KafkaError.INVALID_RECORD, f"no record of ours: {error}")) from None
        self._transactions.send(message.topic, line, message.key, headers)
