"""A steady load: connections that send an event when it is due, however long the answers before took."""

import asyncio
import contextlib
import statistics
import time
from typing import Final, NamedTuple

from bench.load.event import BODY, TARGET

_CONNECTIONS: Final = 16
_APART_SECONDS: Final = 0.01
"""Of connections that come all at once, one worker may take all."""
_HEAD: Final = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" % TARGET.encode()
_REQUEST: Final = _HEAD + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Phase(NamedTuple):
    """Latencies of requests in seconds, the ids of the events that were answered 200, and why the others were not."""

    latencies: list[float]
    ids: list[bytes]
    failures: list[str]

    @property
    def failed(self) -> int:
        """How many requests were not answered 200."""
        return len(self.failures)

    @property
    def p99(self) -> float:
        """The latency in milliseconds that one in a hundred exceeds."""
        return statistics.quantiles(self.latencies, n=100)[98] * 1000


def together(*phases: Phase) -> Phase:
    """Several phases as one."""
    return Phase(
        [latency for phase in phases for latency in phase.latencies],
        [each for phase in phases for each in phase.ids],
        [failure for phase in phases for failure in phase.failures],
    )


async def steady(port: int, seconds: float, per_second: float) -> Phase:
    """Send `per_second` events a second, over all connections."""
    phase = Phase([], [], [])
    connections = [await _connect(port) for _ in range(_CONNECTIONS)]
    begun, pace = time.monotonic(), _CONNECTIONS / per_second
    await asyncio.gather(
        *(
            _send(port, connection, begun + at / per_second, pace, round(seconds / pace), phase)
            for at, connection in enumerate(connections)
        )
    )
    return phase


async def _connect(port: int) -> Connection:
    await asyncio.sleep(_APART_SECONDS)
    return await asyncio.open_connection("127.0.0.1", port)


async def _send(port: int, connection: Connection, begin: float, pace: float, requests: int, phase: Phase) -> None:
    """Use one connection, and open it again when it breaks."""
    for number in range(requests):
        due = begin + number * pace
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
            due = time.monotonic()  # the timer's own lateness is none of the server's
        try:
            phase.ids.append(await _post(*connection))
        except (OSError, EOFError) as error:
            phase.failures.append(f"after {time.monotonic() - due:.2f} s: {error}")
            connection[1].close()
            with contextlib.suppress(OSError):
                connection = await _connect(port)
        phase.latencies.append(time.monotonic() - due)
    connection[1].close()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The id of the event. Raises OSError where the answer is not 200."""
    writer.write(_REQUEST)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(_header(head, b"content-length")))
    if not head.startswith(b"http/1.1 200 "):
        raise OSError(f"{head[9:12].decode()} {body.decode()}")
    return _header(head, b"x-event-id")


def _header(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n%b: " % name)[2].partition(b"\r\n")[0]
