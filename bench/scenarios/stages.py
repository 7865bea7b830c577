"""Where the CPU of an event goes, alone and in a batch: samples of the worker's stacks under load, told by stage.

A stage is known by the innermost frame of a file that belongs to one; what C code does counts for its caller.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Final

import psutil

from bench.load import traffic
from bench.load.traffic import Traffic
from bench.measure import Options, Row, in_turn, load, median, progress
from bench.scenarios.requests import fresh
from bench.servers import Server

_CONNECTIONS: Final = 64
_SAMPLES_A_SECOND: Final = 200
_LOOP: Final = "event loop and kernel: polling, reading, writing"
_COMMIT: Final = "commit thread: write, fdatasync"
_STAGES: Final = {
    "uvicorn/protocols/": "HTTP: parser, headers",
    "ingest/connection.py": "HTTP: parser, headers",
    "ingest/cycle.py": "HTTP: parser, headers",
    "ingest/head.py": "HTTP: parser, headers",
    "ingest/direct.py": "admission: target, client, limits",
    "ingest/route.py": "admission: target, client, limits",
    "ingest/target.py": "admission: target, client, limits",
    "ingest/query.py": "admission: target, client, limits",
    "ingest/client.py": "admission: target, client, limits",
    "ingest/admission.py": "admission: target, client, limits",
    "ingest/cookie.py": "admission: target, client, limits",
    "ingest/cors.py": "admission: target, client, limits",
    "ingest/body.py": "admission: target, client, limits",
    "ingest/decode.py": "decode, rules of the fields",
    "ingest/visitor.py": "visitor, session, signed token",
    "ingest/session.py": "visitor, session, signed token",
    "ingest/envelope.py": "record",
    "ingest/intake.py": "intake: what joins the stages",
    "wal/committer.py": "append, hand-over to the thread and back",
    "ingest/answer.py": "answer",
    "ingest/send.py": "answer",
    "collector/ship/": "shipping",
    "wal/": "shipping",
}
"""By a part of a frame's path. The commit thread's frames are told by its outermost one."""
_COMMIT_FRAME: Final = "_work (wal/committer.py"
_MAIN_FRAME: Final = "spawn_main (multiprocessing/"
_FILE: Final = re.compile(r"\(([^():]+)(?::\d+)?\)$")


def of_an_event(options: Options) -> Iterator[Row]:
    """A row for each stage of a single POST, the largest first, then those of an event of a batch."""
    for kind in (traffic.singles(), traffic.batches()):
        with fresh() as server:
            runs = {"": partial(load, server, kind, _CONNECTIONS)}
            samples = in_turn(runs, options, f"all stages of {kind.name}")[""]
            progress(f"stages of {kind.name}")
            shares = _shares(server, kind, max(2, options.seconds * options.rounds))
        whole = median(samples).cpu_us
        for name, share in sorted(shares.items(), key=itemgetter(1), reverse=True):
            beside = f"{share:.0%} of {whole:.1f} us of {kind.name}"
            yield Row("stages", name, whole * share, "us", beside=beside, details={"of": kind.name})


def _shares(server: Server, kind: Traffic, seconds: int) -> dict[str, float]:
    """The share of each stage in the worker's CPU, from 0 to 1.

    The kernel tells what the event loop's thread and the others have, and samples how each of both divides: in samples
    alone, a thread that waits for the core would count as one that has it.
    """
    (worker,) = server.workers
    before = _thread_seconds(worker)
    counts = {True: Counter[str](), False: Counter[str]()}
    for line in _stacks(server, kind, seconds):
        stack, _, count = line.rpartition(" ")
        counts[_MAIN_FRAME in stack][_stage(stack)] += int(count)
    spent = {is_main: after - before[is_main] for is_main, after in _thread_seconds(worker).items()}
    shares: defaultdict[str, float] = defaultdict(float)
    for is_main, stages in counts.items():
        for name, number in stages.items():
            shares[name] += number / sum(stages.values()) * spent[is_main] / sum(spent.values())
    return shares


def _thread_seconds(worker: psutil.Process) -> dict[bool, float]:
    """CPU seconds of the main thread (True) and of all others."""
    seconds = {True: 0.0, False: 0.0}
    for thread in worker.threads():
        seconds[thread.id == worker.pid] += thread.user_time + thread.system_time
    return seconds


def _stacks(server: Server, kind: Traffic, seconds: int) -> list[str]:
    """Each stack that was seen under load, outermost frame first, and how often."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        stacks = Path(folder) / "stacks"
        running = pool.submit(load, server, kind, _CONNECTIONS, seconds + 1)
        sampler = f"record --rate {_SAMPLES_A_SECOND} --duration {seconds} --format raw --output {stacks}"
        command = [str(Path(sys.executable).parent / "py-spy"), *sampler.split(), "--pid", str(server.workers[0].pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        running.result()
        if done.returncode:
            sys.exit(f"bench: py-spy can't look into the worker; run as root, or allow ptrace:\n{done.stderr.strip()}")
        return stacks.read_text().splitlines()


def _stage(stack: str) -> str:
    if _COMMIT_FRAME in stack:
        return _COMMIT
    for frame in reversed(stack.split(";")):
        if found := _FILE.search(frame):
            for part, stage in _STAGES.items():
                if part in found[1]:
                    return stage
    return _LOOP
