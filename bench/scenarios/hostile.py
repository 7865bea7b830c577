"""What an honest client feels of the worst bodies that may be sent, and what these leave in the log and in memory.

All bodies are tried for a moment; those that have a name, and those of which the honest client felt most, are measured.
The honest client sends small events in an open loop. Its slowest request is compared with the slowest of an undisturbed
period of the same length. On a shared machine either may be late by itself, so the best round of each counts. Beside it
another one asks for what needs no disk, which tells how much of the wait is the event loop's.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import uvloop
import zstandard

from bench import servers
from bench.load import bodies, closed_loop, traffic
from bench.load.bodies import PRIVATE_PROP_ID, Body
from bench.load.closed_loop import Tally
from bench.load.connection import CUT
from bench.load.known_bodies import NAMED, known
from bench.load.open_loop import OpenLoop, Responses
from bench.load.traffic import Traffic
from bench.measure import Options, Row, progress
from bench.servers import Server
from wal.files import Files
from wal.folder import LogFolder
from wal.reader import Reader, read_all
from wal.segment import Block

_HONEST_PER_SECOND: Final = 200
_HONEST_CONNECTIONS: Final = 8
_KINDS: Final = (traffic.singles(), traffic.preflights())
_HOSTILE_CONNECTIONS: Final = 4
_MOST_REQUESTS: Final = 2_000
_MOST_MS: Final = 50.0
_TRIED_SECONDS: Final = 0.3
_TRIED_REQUESTS: Final = 12
_TRIED_ON_ONE: Final = 40
"""Bodies that are tried on one collector: what they leave on the disk goes with it."""
_EVENT_BYTES: Final = 512
_REQUEST_BYTES: Final = 8 << 10
"""What a request may add to the log beside its inflated body: this, and so much for each event."""
_SERVER: Final = 'trusted_proxies = ["127.0.0.0/8", "::1/128"]\ngrace_seconds = 1'
_PRIVATE: Final = f"""
[[property]]
portal_id = 33167
prop_id = {PRIVATE_PROP_ID}
redirect_hosts = ["shop.example.com"]
ip = "drop"
user_agent = "drop"
"""


class _Collector(NamedTuple):
    """A collector under test, what reads its logs, and the process that sends what is hostile."""

    server: Server
    added: "_Added"
    pool: Executor


class _Added:
    """Bytes of records that the log and the dead letters got since they were asked last."""

    def __init__(self, folder: Path) -> None:
        files = Files()
        self._readers: list[Reader] = []
        for shard in (str(folder / name / "00") for name in ("log", "dead")):
            start = LogFolder(files, shard).oldest()
            assert start is not None, shard
            self._readers.append(Reader(LogFolder(files, shard), start))

    def bytes(self) -> int:
        return sum(len(step.payload) for each in self._readers for step in read_all(each) if isinstance(step, Block))

    def close(self) -> None:
        for each in self._readers:
            each.close()


class _Tried(NamedTuple):
    """A body, the slowest honest request beside it in ms, and what one request with it added to the logs."""

    body: Body
    slowest: float
    added: int
    share: float
    """Of what it may add."""


class _Honest(NamedTuple):
    """Requests whose events are stored, and requests that need the event loop alone."""

    stored: Responses
    asked: Responses

    @property
    def slowest(self) -> float:
        """In ms."""
        return self.stored.at(1)


class _Round(NamedTuple):
    """The honest requests without and with the hostile ones, these, and their CPU seconds."""

    calm: _Honest
    disturbed: _Honest
    hostile: Tally
    cpu_seconds: float
    mib: float


def of_hostile(options: Options) -> Iterator[Row]:
    """What an honest client feels of the worst bodies, and the bytes that those leave in the log and in memory"""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        some = [*islice(known(), options.size(500, 2)), *bodies.found(options.size(300, 2))]
        tried = list(_try(some, pool))
        others = sorted((each for each in tried if each.body.name not in NAMED), key=lambda each: -each.slowest)
        worst = others[: options.size(15, 1)]
        rows = []
        for each in [*(each for each in tried if each.body.name in NAMED), *worst]:
            rows.append(_measured(each.body, options, pool))
            yield rows[-1]
        most = max(tried, key=lambda each: each.share)
        yield Row(
            f"log, most of {len(tried)} bodies",
            most.added / 1024,
            "KiB",
            f"at most {most_added(most.body) / 1024:.0f} KiB",
            most.share,
            1.0,
            beside=most.body.name,
            details={"tried": [(each.body.name, each.slowest, each.share) for each in tried]},
        )
        failed = sum(int(str(row.details["failed"])) for row in rows)
        yield Row("honest requests that failed", failed, most=0, beside=f"{len(rows)} bodies")


@contextmanager
def collector(pool: Executor, of_property: str = "", dead_letters: str = "") -> Iterator[_Collector]:
    """A collector with an empty log, a private property, and a trusted proxy at the other end."""
    of_property = f'{of_property}\ndedup = "off"'  # else a body that is sent again would store nothing
    private = _PRIVATE + of_property
    with (
        servers.collector(
            server=_SERVER, of_property=of_property, dead_letters=dead_letters, sections=private
        ) as server,
        closing(_Added(server.folder)) as added,
    ):
        yield _Collector(server, added, pool)


def _try(all_bodies: Sequence[Body], pool: Executor) -> Iterator[_Tried]:
    for at in range(0, len(all_bodies), _TRIED_ON_ONE):
        progress(f"hostile: trying bodies {at + 1} to {min(at + _TRIED_ON_ONE, len(all_bodies))} of {len(all_bodies)}")
        with collector(pool, servers.EVERY_REFUSAL, servers.EVERY_LETTER) as ours:
            uvloop.run(_honest(ours, 1))
            for body in all_bodies[at : at + _TRIED_ON_ONE]:
                added, _ = alone(ours, body)
                disturbed, _ = uvloop.run(_together(ours, body, _TRIED_SECONDS, _TRIED_REQUESTS))
                ours.added.bytes()
                yield _Tried(body, disturbed.slowest, added, added / most_added(body))


def alone(ours: _Collector, body: Body) -> tuple[int, int]:
    """The bytes that one request adds to the logs, and its status."""
    ours.added.bytes()
    answers = ours.pool.submit(closed_loop.run, ours.server.port, [body.request], 1, 10, 1).result().answers
    return ours.added.bytes(), next(iter(answers), CUT)


def _measured(body: Body, options: Options, pool: Executor) -> Row:
    seconds = min(options.seconds, 2)
    progress(f"hostile: {body.name}")
    with collector(pool) as ours:
        uvloop.run(_honest(ours, min(options.seconds, 1)))
        before = ours.server.mib
        added, status = alone(ours, body)
        rounds = [_round(ours, body, seconds) for _ in range(min(options.rounds, 3))]
        uvloop.run(_honest(ours, seconds))
        return _row(body, rounds, added, status, [before, *(each.mib for each in rounds), ours.server.mib])


def _round(ours: _Collector, body: Body, seconds: float) -> _Round:
    begun = ours.server.cpu_seconds
    calm = uvloop.run(_honest(ours, seconds))
    between = ours.server.cpu_seconds
    disturbed, hostile = uvloop.run(_together(ours, body, seconds, _MOST_REQUESTS))
    return _Round(calm, disturbed, hostile, ours.server.cpu_seconds - between - (between - begun), ours.server.mib)


def _row(body: Body, rounds: list[_Round], added: int, status: int, mib: list[float]) -> Row:
    calm, disturbed = [each.calm for each in rounds], [each.disturbed for each in rounds]
    slowest, slowest_alone = (min(each.slowest for each in part) for part in (disturbed, calm))
    answers = sum((each.hostile.answers for each in rounds), Counter[int]())
    cpu_ms = sum(each.cpu_seconds for each in rounds) / max(1, answers.total()) * 1000
    said = " ".join(f"{number}x{code or 'cut'}" for code, number in sorted(answers.items()))
    beside = (
        f"{len(body.request):,} B, {said}; with {_shown(disturbed)}, without {_shown(calm)}, "
        f"event loop {min(each.asked.at(1) for each in disturbed):.0f} ms; {cpu_ms:.2f} ms CPU; "
        f"log {added / len(body.request):.2f} a byte, {added / most_added(body):.0%} of its bound; "
        f"memory {mib[-1] - mib[0]:+.1f} MiB, {mib[-1] - mib[1]:+.1f} since the first round"
    )
    details: dict[str, object] = {
        "added": added,
        "status_alone": status,
        "failed": sum(each.stored.failed + each.asked.failed for each in disturbed),
        "mib": mib,
        "slowest": [(each.calm.slowest, each.disturbed.slowest, each.disturbed.asked.at(1)) for each in rounds],
    }
    reference = f"slowest without {slowest_alone:.0f} ms"
    return Row(body.name, slowest - slowest_alone, "ms", reference, most=_MOST_MS, beside=beside, details=details)


def _shown(part: list[_Honest]) -> str:
    """The best of p50, p99 and the slowest."""
    return "/".join(f"{min(each.stored.at(share) for each in part):.0f}" for share in (0.5, 0.99, 1))


def most_added(body: Body) -> int:
    """Bytes that one request with this body may add to the log and the dead letters together."""
    _, _, sent = body.request.partition(b"\r\n\r\n")
    in_base64 = len(zstandard.compress(sent)) * 4 // 3  # what does not compress is so in a dead letter
    return max(body.length, in_base64) + _EVENT_BYTES * body.events + _REQUEST_BYTES


async def _honest(ours: _Collector, seconds: float) -> _Honest:
    return _Honest(*await asyncio.gather(*(_open_loop(ours, kind, seconds) for kind in _KINDS)))


async def _open_loop(ours: _Collector, kind: Traffic, seconds: float) -> Responses:
    async with OpenLoop(ours.server.port, kind, _HONEST_CONNECTIONS) as loop:
        return await loop.run(_HONEST_PER_SECOND, seconds)


async def _together(ours: _Collector, body: Body, seconds: float, most: int) -> tuple[_Honest, Tally]:
    """Honest and hostile requests at the same time."""
    arguments = (ours.server.port, [body.request], _HOSTILE_CONNECTIONS, seconds, most)
    hostile = asyncio.get_running_loop().run_in_executor(ours.pool, closed_loop.run, *arguments)
    honest = await _honest(ours, seconds)
    return honest, await hostile
