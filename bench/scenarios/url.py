"""The mix of traffic of a shop, sent to a deployment that runs already."""

import asyncio
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import uvloop

from bench import BenchError
from bench.load.connection import CUT, Connection
from bench.load.mix import mix
from bench.load.open_loop import OpenLoop, Responses
from bench.load.traffic import Traffic
from bench.measure import Row

_PATIENCE_SECONDS: Final = 10.0
_PERCENTILES: Final = (0.5, 0.9, 0.99, 0.999)
_EXCERPT_BYTES: Final = 200
_ASKS_FOR_JSON: Final = b"resp_type=json"


class Target(NamedTuple):
    """Where the load goes: `path` has the query that names the property."""

    url: str
    host: str
    port: int
    path: str


def parse_target(url: str) -> Target:
    """The parts of a URL. Raises BenchError if it is not one that events can be sent to."""
    expected = "expected http://HOST:PORT/event?portal_id=…&prop_id=…"
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise BenchError(f"--url {url}: {error}; {expected}") from None
    if parts.scheme != "http" or not parts.hostname:
        raise BenchError(f"--url {url}: {expected}; for https, name the collector behind the proxy that ends TLS")
    if missing := [name for name in ("portal_id", "prop_id") if name not in parse_qs(parts.query)]:
        raise BenchError(f"--url {url}: the query lacks {' and '.join(missing)}; {expected}")
    return Target(url, parts.hostname, port, f"{parts.path or '/'}?{parts.query}")


def measure(target: Target, rate: float, seconds: float, connections: int) -> list[Row]:
    """Send `rate` requests a second. Raises BenchError if nothing answers, or if the first event is refused."""
    return _rows(uvloop.run(_load(target, rate, seconds, connections)), seconds)


async def _load(target: Target, rate: float, seconds: float, connections: int) -> Responses:
    traffic = mix(f"{target.host}:{target.port}", target.path)
    await _check(target, traffic)
    try:
        async with OpenLoop(target.port, traffic, connections, host=target.host) as loop:
            return await loop.run(rate, seconds)
    except OSError as error:
        raise BenchError(f"{target.url} stopped accepting connections: {error}") from None


async def _check(target: Target, traffic: Traffic) -> None:
    """Send one event, so that a wrong URL is an error and not a table of failures."""
    answered: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    def answer(_: Connection, status: int, response: bytes) -> None:
        answered.set_result((status, response))

    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(answer, lambda _: None), target.host, target.port
            )
            connection.send(next(request for request in traffic.requests if _ASKS_FOR_JSON in request))
            status, response = await answered
    except TimeoutError:
        raise BenchError(f"{target.url} did not answer within {_PATIENCE_SECONDS:.0f} s") from None
    except OSError as error:
        raise BenchError(f"{target.url} does not answer: {error}; is the collector running there?") from None
    connection.close()
    if status == CUT:
        raise BenchError(f"{target.url} closed the connection without an HTTP response")
    if status >= HTTPStatus.BAD_REQUEST:
        raise BenchError(f"{target.url} refused the first event with {status}: {_excerpt(response)}")


def _rows(responses: Responses, seconds: float) -> list[Row]:
    rate = len(responses.latencies) / responses.seconds if responses.latencies else 0.0
    failures = [_failure(status, responses) for status in sorted(responses.failures)]
    if unanswered := responses.requests - responses.statuses.total():
        failures.append(f"{unanswered} without a response")
    return [
        Row("requests answered", rate, "/s", f"sent {responses.requests / seconds:,.0f} /s"),
        *(Row(f"latency, p{100 * share:g}", responses.at(share), "ms") for share in _PERCENTILES),
        Row("latency, longest", responses.at(1), "ms"),
        Row("errors", responses.failed, "", f"of {responses.requests} requests", most=0, beside="; ".join(failures)),
    ]


def _failure(status: int, responses: Responses) -> str:
    times = f"{responses.statuses[status]} x"
    return f"{times} {status} {_excerpt(responses.failures[status])}" if status else f"{times} connection lost"


def _excerpt(response: bytes) -> str:
    """The beginning of a response's body; of an image only its size."""
    body = response.partition(b"\r\n\r\n")[2]
    text = body[:_EXCERPT_BYTES].decode(errors="replace").strip()
    return text if text.isprintable() else f"({len(body)} bytes)"
