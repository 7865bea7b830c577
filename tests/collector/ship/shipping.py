"""`python -m tests.collector.ship.shipping FOLDER [STEP N]`: ship the log in a folder to its sink until all is there.

At the N-th time that a step is reached, it kills itself, as nothing can that is not a real death. At the step `wait` it
says so before it ships, and waits for a line.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from typing import Any

from collector.dead_letters.budget import HourlyBudget
from collector.dead_letters.of_sinks import SinkDeadLetters
from collector.dead_letters.writer import DeadLetters
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.settings import load_settings
from collector.shards import shard
from collector.shards.shard import Shard, open_log
from collector.ship import sinks
from collector.ship.batch import Batch
from collector.ship.sinks import Sink
from wal.committer import Committer
from wal.cursor import Cursor
from wal.folder import LogFolder
from wal.log import now_ms

STEPS = ("before the intent", "behind the intent", "behind the delivery", "behind the cursor")
WAIT = "wait"
_DEAD_BYTES_PER_HOUR = 1 << 30


class _Mortal:
    """A sink that may die behind a delivery."""

    def __init__(self, sink: Sink, die: Any) -> None:
        self.open, self.close = sink.open, sink.close
        self._deliver, self._die = sink.deliver, die

    async def deliver(self, batch: Batch) -> None:
        await self._deliver(batch)
        self._die("behind the delivery")


def _armed(step: str, number: int) -> None:
    """Put a trap at a step."""
    reached: Counter[str] = Counter()
    save, sink_of = LogFolder.save_cursor, sinks.sink_of

    def die(here: str) -> None:
        reached[here] += 1
        if (here, reached[here]) == (step, number):
            os.kill(os.getpid(), signal.SIGKILL)

    def save_cursor(folder: LogFolder, consumer: str, cursor: Cursor) -> None:
        what = "intent" if cursor.intent else "cursor"
        die(f"before the {what}")
        save(folder, consumer, cursor)
        die(f"behind the {what}")

    setattr(LogFolder, "save_cursor", save_cursor)  # noqa: B010 - mypy has it as a constant
    setattr(shard, "sink_of", lambda *arguments: _Mortal(sink_of(*arguments), die))  # noqa: B010


async def _ship(folder: str) -> None:
    settings = load_settings(os.path.join(folder, "collector.toml"))
    dead = Committer(open_log(settings, os.path.join(settings.dead_letters.dir, "00")))
    letters = SinkDeadLetters(
        DeadLetters(dead, HourlyBudget(_DEAD_BYTES_PER_HOUR, 1, now_ms), Notices(), CounterBlock.create()),
        settings.dead_letters.dir,
    )
    ours = Shard(settings, open_log(settings, os.path.join(settings.log.dir, "00")), letters)
    if sys.argv[2:] == [WAIT]:
        print(WAIT, flush=True)
        sys.stdin.readline()
    ours.start()
    await ours.close(grace_seconds=None)
    await dead.close()
    dead.log.close()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        _armed(sys.argv[2], int(sys.argv[3]))
    asyncio.run(_ship(sys.argv[1]))
