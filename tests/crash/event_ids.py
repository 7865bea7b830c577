"""The index of event ids against a plain model of the logs: workers that append, fail, crash, and start again.

The logs are real ones, on a disk without fsync. The model knows what each of them holds, and what is on its way. The
invariants: a claim that returns a place points to an event with that very id (no false duplicate), and a claim that
returns None means that no log holds the id within the window (no missed one).
"""

import errno
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import NamedTuple

from collector.dedup.bounds import bounds_of
from collector.dedup.catch_up import catch_up
from collector.dedup.claims import Claims
from collector.dedup.index import DedupIndex
from collector.dedup.layout import Fate, Place, hash_of, key
from collector.dedup.store import IndexStore, open_store
from collector.dedup.windows import Window
from tests.crash.violation import require
from wal.errors import LogFull
from wal.files import Files
from wal.log import Log

MAP_BYTES = 4 << 20
_PROP = (1, 2)
_START_MS = 1_700_000_000_000
_LONGEST_BATCH = 200


class Event(NamedTuple):
    """An event of the model: its id, when it was received (Unix ms), and in which action of the case."""

    id: str
    ms: int
    action: int


class Shown(NamedTuple):
    """A place that a claim has returned, the id that was claimed, and the action and the window of that time."""

    place: Place
    id: str
    action: int
    window_ms: int


class Waiting(NamedTuple):
    """An event that was appended and is not committed: its sequence, and its line in the log."""

    sequence: int
    event: Event | None
    line: bytes


class QuickFiles(Files):
    """A disk that syncs nothing. Its process can be killed, and its writes can fail."""

    def __init__(self) -> None:
        self.opened: set[int] = set()
        self.write_fails_after: int | None = None
        """The bytes that the next write still puts into the file before it fails."""

    def open_directory(self, path: str) -> int:
        return self._noted(super().open_directory(path))

    def create(self, path: str) -> int:
        return self._noted(super().create(path))

    def open(self, path: str, *, write: bool = False) -> int:
        return self._noted(super().open(path, write=write))

    def lock(self, path: str) -> int:
        return self._noted(super().lock(path))

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self.opened.discard(descriptor)

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        if self.write_fails_after is None:
            return super().write(descriptor, buffers)
        os.write(descriptor, b"".join(buffers)[: self.write_fails_after])
        self.write_fails_after = None
        raise OSError(errno.ENOSPC, "no room")

    def reserve(self, descriptor: int, offset: int, length: int) -> None:
        """Nothing to reserve."""

    def sync(self, descriptor: int) -> None:
        """Nothing is lost here but by the model."""

    sync_all = sync_names = sync

    def forget_cache(self, descriptor: int, offset: int = 0, length: int = 0) -> None:
        """The cache is all that there is."""

    def kill(self) -> None:
        """Close all that the process has open, as the kernel does."""
        for descriptor in list(self.opened):
            self.close(descriptor)

    def _noted(self, descriptor: int) -> int:
        self.opened.add(descriptor)
        return descriptor


class ModelLog:
    """What the log of one shard holds, by sequence, and what a copy of it has."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.log_id: bytes | None = None
        self._copy_path = f"{path}.copy"
        self.events: dict[int, Event] = {}
        """Those that the disk has for sure."""
        self.copy: dict[int, Event] | None = None

    def save(self) -> None:
        """Take a backup."""
        shutil.rmtree(self._copy_path, ignore_errors=True)
        shutil.copytree(self.path, self._copy_path, symlinks=True)
        self.copy = dict(self.events)

    def restore(self) -> None:
        """Put the backup in the place of the log."""
        assert self.copy is not None
        shutil.rmtree(self.path)
        shutil.copytree(self._copy_path, self.path, symlinks=True)
        self.events = dict(self.copy)

    def delete(self) -> None:
        """Remove the log and its backup."""
        for path in (self.path, self._copy_path):
            shutil.rmtree(path, ignore_errors=True)
        self.log_id, self.events, self.copy = None, {}, None


class Worker:
    """A process: its log, its view of the index, and the events that are not committed yet."""

    def __init__(self, node: "Node", log: ModelLog) -> None:
        self.files = QuickFiles()
        self.model = log
        self.log = Log(
            log.path,
            segment_bytes=node.segment_bytes,
            files=self.files,
            clock=lambda: node.now_ms,
            monotonic=lambda: node.now_ms - _START_MS,
        )
        log.log_id = self.log.log_id
        self.index = DedupIndex(node.store, node.bounds)
        self.waiting: list[Waiting] = []
        self.next_sequence = self.log.end.sequence
        self.index.begin(self.log.log_id, self.next_sequence)

    def commit(self) -> None:
        """Commit what waits. Raises LogFull."""
        self.log.commit(b"".join(line for *_, line in self.waiting), len(self.waiting))
        self.model.events |= {sequence: event for sequence, event, _ in self.waiting if event}
        self.waiting = []

    def drop_waiting(self) -> None:
        """After a failed commit the sequences of what waited are given again."""
        self.waiting = []
        self.next_sequence = self.log.end.sequence
        self.index.failed(self.next_sequence)


class AppendError(Exception):
    """An append raises within the block of its claims."""


class Node:
    """A node with some shards, and the model of all that it should remember."""

    def __init__(self, random: Random, store: IndexStore, directory: str, tally: Counter[str]) -> None:
        self.random = random
        self.store = store
        self.directory = directory
        self.tally = tally
        self.now_ms = _START_MS
        self.action = 0
        self.window_ms = random.choice((1000, 60_000))
        self.segment_bytes = random.choice((1, 2000, *(1 << 20,) * 6))
        self.is_bounded = random.random() < 0.1
        self.bounds = bounds_of(random.randint(1, 20) if self.is_bounded else 100_000, MAP_BYTES)
        ids, self.sizes = random.choice(
            ((3, (1, 1, 2)), (10, (1, 1, 5)), (30, (1, 3, 20)), (1000, (1, 1, _LONGEST_BATCH)))
        )
        self.ids = [str(number) for number in range(ids)]
        self.logs = [ModelLog(os.path.join(directory, f"{at:02d}")) for at in range(random.choice((1, 2, 3)))]
        self.workers: dict[int, Worker] = {}
        self.shown: list[Shown] = []
        self.taken: list[Event] = []
        """All events with ids that were ever appended."""
        self.has_grown = False

    def start(self) -> None:
        """A worker opens a shard that nobody has."""
        free = [at for at in range(len(self.logs)) if at not in self.workers]
        if free:
            at = self.random.choice(free)
            self.workers[at] = Worker(self, self.logs[at])
            self._catch_up(self.workers[at])
            self.tally["starts"] += 1

    def append(self) -> None:
        """A request with some events, of which some have an id. Sometimes its append raises."""
        for worker in self._any_worker():
            try:
                with worker.index.claims(self.now_ms) as claims:
                    claimed = self._claimed(worker, claims)
                    if self.random.random() < 0.15:
                        raise AppendError
            except AppendError:
                self.shown = [shown for shown in self.shown if shown.action < self.action]
                self.tally["failed appends"] += 1
            else:
                worker.waiting += claimed
                self.taken += [each.event for each in claimed if each.event]
                worker.next_sequence += len(claimed)

    def commit(self) -> None:
        """A commit, of which other processes learn."""
        for worker in self._any_worker():
            worker.commit()
            worker.index.publish(worker.log.end.sequence)

    def fail(self) -> None:
        """A commit that fails; the log goes on."""
        for worker in self._any_worker():
            if worker.waiting:
                worker.files.write_fails_after = self.random.choice((0, 100, 300))
                try:
                    worker.commit()
                except LogFull:
                    worker.drop_waiting()
                    self.tally["failed commits"] += 1

    def crash(self) -> None:
        """A kill -9, before, within or after a commit that nobody has learnt of."""
        for worker in self._any_worker():
            fate = self.random.choice(("before", "within", "after"))
            if fate == "after":
                worker.commit()
            elif fate == "within" and worker.waiting:
                worker.files.write_fails_after = self.random.choice((0, 100, 300))
                with suppress(LogFull):
                    worker.commit()
            self._end(worker)
            self.tally["crashes"] += 1

    def cut_power(self) -> None:
        """All processes die, and the index is not what it was."""
        self._end_all()
        if self.random.random() < 0.02:
            self.store.close()
            self.store = open_store(os.path.dirname(self.store.path), MAP_BYTES, self.random.randbytes(4).hex())
        else:
            empty(self.store)
        self.shown = []
        self.tally["power cuts"] += 1

    def restore(self) -> None:
        """The node is stopped, and the log of a shard is put back to an earlier copy, or is gone."""
        log = self.random.choice(self.logs)
        self._end_all()
        if log.copy is not None:
            log.restore()
        elif self.random.random() < 0.2:
            log.delete()
        self.shown = []
        self.tally["restores"] += 1
        self.start()

    def back_up(self) -> None:
        """Copy a log, which may be in use."""
        log = self.random.choice(self.logs)
        if os.path.exists(log.path):
            log.save()

    def grow(self) -> None:
        """The window is longer now, in all processes."""
        self.window_ms *= 3
        self.has_grown = True
        for worker in self.workers.values():
            worker.commit()
            worker.index.publish(worker.log.end.sequence)
            self._catch_up(worker)

    def wait(self) -> None:
        """Time goes by."""
        self.now_ms += self.random.choice((1, 100, 900, 20_000))

    def ask(self) -> None:
        """Somebody waits for the first event at a place."""
        for worker in self._any_worker():
            for shown in self.shown:
                self._check_state(worker.index.state(shown.place), shown)

    def end(self) -> None:
        """End all processes."""
        self._end_all()

    def _event(self) -> Event | None:
        """Four of five events have an id."""
        has_id = self.random.random() < 0.8
        return Event(self.random.choice(self.ids), self.now_ms, self.action) if has_id else None

    def _any_worker(self) -> list[Worker]:
        return [self.random.choice(list(self.workers.values()))] if self.workers else []

    def _end(self, worker: Worker) -> None:
        worker.files.kill()
        self.workers = {at: each for at, each in self.workers.items() if each is not worker}

    def _end_all(self) -> None:
        for worker in list(self.workers.values()):
            self._end(worker)

    def _catch_up(self, worker: Worker) -> None:
        found = catch_up(worker.index, self.directory, {_PROP: Window(self.window_ms, 0)}, self.now_ms)
        require(found.faults == (), "a log could not be read", found)

    def _is_first(self, place: Place | None, event_id: str) -> bool:
        if place is None:
            return True
        self.tally["duplicates"] += 1
        if place.is_durable:
            self._check_state(Fate.DURABLE, Shown(place, event_id, self.action, self.window_ms))
        else:
            self.shown.append(Shown(place, event_id, self.action, self.window_ms))
        return False

    def _check_state(self, state: Fate, shown: Shown) -> None:
        """The state of a place is what became of the event there."""
        self.tally[state.value] += 1
        on_disk = self._on_disk(shown.place)
        holds = on_disk is not None and on_disk.id == shown.id
        if state is Fate.DURABLE:
            require(holds, "false duplicate", shown, on_disk)
        elif state is Fate.GONE:
            is_meant = on_disk is not None and on_disk.action <= shown.action and self._is_shown(on_disk, shown)
            require(not (holds and is_meant) or self.is_bounded, "an event that is there is called gone", shown)

    def _is_shown(self, event: Event, shown: Shown) -> bool:
        """Whether the event is within the window of that time: nobody waits for it once that is over."""
        return self.now_ms - event.ms < shown.window_ms

    def _is_within(self, event: Event) -> bool:
        return self.now_ms - event.ms < self.window_ms

    def _on_disk(self, place: Place) -> Event | None:
        for log in self.logs:
            if log.log_id == place.log_id:
                return log.events.get(place.sequence)
        return None

    def _claimed(self, worker: Worker, claims: Claims) -> list[Waiting]:
        """The events of a request that are to be stored."""
        claimed: list[Waiting] = []
        known = self._known_ids()
        events = [self._event() for _ in range(self.random.choice(self.sizes))]
        keys = [_key(event.id) if event else b"" for event in events]
        places = claims.claim_all(keys, worker.next_sequence, [self.window_ms] * len(keys))
        for at, event in enumerate(events):
            sequence = worker.next_sequence + len(claimed)
            if event:
                if not self._is_first(places.get(at), event.id):
                    continue
                may_miss = event.id not in known or self.is_bounded or self._is_forgotten(event.id)
                require(may_miss, "missed duplicate", event, self.now_ms)
                known.add(event.id)
            claimed.append(Waiting(sequence, event, _line(worker, sequence, event, self.now_ms)))
        return claimed

    def _known_ids(self) -> set[str]:
        """The ids of all events within the window."""
        return {event.id for event in self._events() if self._is_within(event)}

    def _events(self) -> list[Event]:
        """The events with ids, on a disk, or on their way in a process that lives."""
        events = [event for log in self.logs for event in log.events.values()]
        return events + [event for worker in self.workers.values() for _, event, _ in worker.waiting if event]

    def _is_forgotten(self, event_id: str) -> bool:
        """Whether the index knew a later event of this id that is lost, and not the one that a grown window covers."""
        return self.has_grown and any(event.id == event_id for event in {*self.taken} - {*self._events()})


ACTIONS = (
    *(Node.append,) * 10,
    *(Node.commit,) * 5,
    *(Node.start,) * 4,
    *(Node.wait,) * 2,
    *(Node.crash,) * 2,
    Node.fail,
    Node.ask,
    Node.ask,
    Node.cut_power,
    *(Node.restore,) * 2,
    *(Node.back_up,) * 2,
    Node.grow,
)


def run_cases(count: int, seed: int, directory: str) -> Counter[str]:
    """Run so many cases from this seed on. Raises Violation; a note on it tells the seed."""
    tally: Counter[str] = Counter()
    store = open_store(os.path.join(directory, "index"), MAP_BYTES)
    for number in range(seed, seed + count):
        try:
            store = _run_case(number, store, os.path.join(directory, "log"), tally)
        except Exception as error:
            error.add_note(f"TRACKLOG_SEED={number} repeats this case alone")
            raise
    store.close()
    return tally


def empty(store: IndexStore) -> None:
    """Make an index as if it were new."""
    with store.transaction() as txn:
        for tree in (store.entries, store.order, store.logs, store.generations, store.meta):
            txn.drop(tree, delete=False)
    if os.path.exists(path := os.path.join(store.path, "windows")):
        os.remove(path)


def _run_case(seed: int, store: IndexStore, directory: str, tally: Counter[str]) -> IndexStore:
    random = Random(seed)
    empty(store)
    node = Node(random, store, directory, tally)
    try:
        for _ in range(random.choice((5, 15, 40))):
            node.action += 1
            random.choice(ACTIONS)(node)
    finally:
        node.end()
        shutil.rmtree(directory, ignore_errors=True)
    tally["cases"] += 1
    return node.store


def _key(event_id: str) -> bytes:
    return key(hash_of(*_PROP), event_id)


def _line(worker: Worker, sequence: int, event: Event | None, now_ms: int) -> bytes:
    member = b'"event_id":"%b",' % event.id.encode() if event else b""
    return (
        b'{"id":"%b-%d","received_at":%d,"occurred_at":%d,"portal_id":1,"prop_id":2,"source":"web",%b'
        b'"warnings":[],"event":{"event_id":"no","ea":"view"}}\n'
    ) % (worker.log.log_id, sequence, now_ms, now_ms, member)
