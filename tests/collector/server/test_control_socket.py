"""The control socket, without a supervisor."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from collector.server.control_socket import connect, serving_control
from collector.server.node_state import Reload
from tests.running import PATIENCE_SECONDS


async def _fail(_: Callable[[str], None]) -> Reload:
    raise ZeroDivisionError


def test_a_reload_that_fails_by_a_bug_ends_the_connection(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        async with serving_control(str(tmp_path), _fail):
            reader, writer = await asyncio.open_unix_connection(sock=connect(str(tmp_path)))
            response = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
            writer.close()
            await writer.wait_closed()
        return response

    assert asyncio.run(scenario()) == b""
