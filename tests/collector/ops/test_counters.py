"""A block of counters: shared by processes, written by one at a time, and outliving each of them."""

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from collector.ops.counters import CounterBlock, summed
from tests.running import PATIENCE_SECONDS, eventually

_SPAWN = multiprocessing.get_context("spawn")


def _count_forever(block: CounterBlock, label: str) -> None:
    """Count in a slot that is there from the first call on, and in ever new ones."""
    block.pid = os.getpid()
    slot = block.slot("steps")
    for number in itertools.count():
        block.values[slot] += 1
        if number % 1000 == 0 and number < 100_000:
            block.add(1, "new", label, str(number))


@contextmanager
def _counting(block: CounterBlock, label: str) -> Iterator[int]:
    """A process that counts in the block, and is killed at the end."""
    process = _SPAWN.Process(target=_count_forever, args=(block, label))
    process.start()
    try:
        eventually(lambda: block.pid == process.pid, "it counts")
        yield block.pid
    finally:
        process.kill()
        process.join(PATIENCE_SECONDS)
        process.close()


def test_a_writer_that_is_killed_loses_nothing_and_its_successor_goes_on_there() -> None:
    block = CounterBlock.create()
    with _counting(block, "first"):
        eventually(lambda: block.read().get(("new", "first", "99000")), "the first has counted")
    before = block.read()
    with _counting(block, "second"):
        eventually(lambda: block.read().get(("new", "second", "99000")), "the second has counted")
    after = block.read()
    assert all(after[key] >= value for key, value in before.items())
    assert after["steps",] > before["steps",]
    assert {key[:2] for key in after} == {("steps",), ("new", "first"), ("new", "second")}
    assert set(after.values()) == {1, after["steps",]}


def test_whenever_a_writer_is_killed_its_names_are_whole() -> None:
    block = CounterBlock.create()
    for attempt in range(4):
        label = f"attempt {attempt} " + "x" * 60
        with _counting(block, label) as pid:
            eventually(lambda: ("new", label, "0") in block.read(), "it adds slots")  # noqa: B023
            time.sleep(0.0007 * attempt)  # any moment will do: it adds a slot every 0.1 ms
            os.kill(pid, signal.SIGKILL)
        block.add(1, "mine", label)
    assert sum(1 for key in block.read() if key[0] == "mine") == 4
    assert {key[0] for key in block.read()} == {"steps", "new", "mine"}


def test_the_one_who_counts_after_another_process_finds_its_slots() -> None:
    block = CounterBlock.create()
    other = CounterBlock(os.dup(block._descriptor))
    assert block.slot("a") == other.slot("a")
    other.add(2, "b", "x")
    block.add(3, "b", "x")
    assert block.read() == other.read() == {("a",): 0, ("b", "x"): 5}


def test_the_total_of_several_blocks_adds_what_each_has() -> None:
    first, second = CounterBlock.create(), CounterBlock.create()
    first.add(1, "a", "x")
    first.add(2, "b")
    second.add(4, "a", "x")
    second.add(8, "a", "y")
    assert summed(map(CounterBlock.read, [first, second])) == {("a", "x"): 5, ("b",): 2, ("a", "y"): 8}


def test_a_block_closes_its_descriptor() -> None:
    block = CounterBlock.create()
    descriptor = block._descriptor
    assert os.readlink(f"/proc/self/fd/{descriptor}").startswith("/memfd:tracklog-counters")
    del block
    assert not os.path.exists(f"/proc/self/fd/{descriptor}")
