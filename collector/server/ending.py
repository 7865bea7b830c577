"""How a worker ends itself: by SIGTERM, so that what is in flight is finished first."""

import asyncio
import multiprocessing
import os
import signal

from collector.process_log.of_processes import SupervisorDied, WorkerBug, WorkerFailed


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def stop_after_a_bug(task: asyncio.Task[None]) -> None:
    """End this process if a bug ended one of its tasks; the supervisor starts another."""
    if not task.cancelled() and (error := task.exception()) is not None:
        WorkerBug().write(exc_info=error)
        _stop()


def stop_for_recovery(fault: Exception) -> None:
    """End this process; the supervisor starts another."""
    WorkerFailed(str(fault)).write()
    _stop()


def stop_with_parent() -> None:
    """Stop when the supervisor was killed: the worker would keep the socket and its shard from the next start."""
    parent = multiprocessing.parent_process()
    if parent:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(parent.sentinel)
            SupervisorDied().write()
            _stop()

        loop.add_reader(parent.sentinel, stop)
