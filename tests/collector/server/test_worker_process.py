"""A worker from its supervisor's side: one that hangs, or is killed, harms nobody else."""

import asyncio
import os
import signal
import socket
from pathlib import Path

from collector.ops.counters import CounterBlock
from collector.ops.metric_table import CONNECTIONS, RECEIVED
from collector.server.control import SettingsBoard, Swap
from collector.server.worker_process import WorkerProcess
from collector.settings import LogSettings, Settings


def test_a_worker_that_hangs_does_not_hold_up_its_supervisor_and_leaves_no_load(tmp_path: Path) -> None:
    block = CounterBlock.create()
    block.add(7, CONNECTIONS.name)
    block.add(7, RECEIVED.name, "1", "2")

    async def use() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            settings = Settings(log=LogSettings(dir=str(tmp_path)))
            worker = WorkerProcess(settings, listener, SettingsBoard(), [block], lambda _: None)
            try:
                os.kill(worker.pid, signal.SIGSTOP)
                for number in range(5000):  # more than its control pipe holds
                    worker.swap(Swap(number, 0, 0))
            finally:
                worker.kill()
            assert await worker.wait() == -signal.SIGKILL

    asyncio.run(use())
    assert block.pid == 0
    assert block.read() == {(CONNECTIONS.name,): 0, (RECEIVED.name, "1", "2"): 7}
