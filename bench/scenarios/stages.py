"""Where the CPU of an event goes, alone and in a batch: samples of the worker's stacks under load, counted by stage.

A stage is known by the innermost frame of a file that belongs to one; C code counts for its caller.
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

from bench import BenchError, servers
from bench.load import traffic
from bench.load.traffic import Traffic
from bench.measure import Options, Row, in_turn, load, median, progress
from bench.servers import Server

_SAMPLES_A_SECOND: Final = 200
_LOOP: Final = "event loop and kernel: polling, reading, writing"
_COMMIT: Final = "commit thread: write, fdatasync"
STAGES: Final = {
    "HTTP: parser, pipeline, response": ("collector/http/",),
    "admission: options, client, limits": (
        "ingest/endpoint.py",
        "ingest/options.py",
        "ingest/query.py",
        "ingest/bodies/body.py",
        "ingest/request.py",
        "ingest/policy/",
    ),
    "decode, rules of the fields": ("ingest/event.py", "nesting.py"),
    "visitor, session, signed token": ("ingest/visitor.py", "ingest/session.py"),
    "record": ("ingest/record.py",),
    "intake: what joins the stages": ("ingest/intake.py", "ingest/storing/batch.py", "ingest/storing/completion.py"),
    "append, hand-over to the thread and back": (
        "wal/committer.py",
        "wal/backlog.py",
        "wal/pending_block.py",
        "wal/commit_thread.py",
    ),
    "response": ("ingest/responses.py",),
    "shipping": ("collector/ship/", "wal/"),
}
"""Parts of the paths of their files; the first that fits counts. The commit thread is known by its outermost frame."""
COMMIT_FRAME: Final = "_run (wal/commit_thread.py"
_MAIN_FRAME: Final = "spawn_main (multiprocessing/"
_FILE: Final = re.compile(r"\(([^():]+)(?::\d+)?\)$")


def of_stages(options: Options) -> Iterator[Row]:
    """Where the CPU of an event goes, alone and in a batch, by samples of the worker's stacks"""
    for kind in (traffic.singles(), traffic.batches()):
        with servers.collector() as server:
            samples = in_turn({"": partial(load, server, kind)}, options, f"all stages of {kind.name}")[""]
            progress(f"stages of {kind.name}")
            shares = _shares(server, kind, max(1, round(options.seconds * options.rounds)))
        whole = median(samples).cpu_us
        for name, share in sorted(shares.items(), key=itemgetter(1), reverse=True):
            beside = f"{share:.0%} of {whole:.1f} us of {kind.name}"
            yield Row(name, whole * share, "us", beside=beside, details={"of": kind.name})


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
        running = pool.submit(load, server, kind, seconds + 1)
        sampler = f"record --rate {_SAMPLES_A_SECOND} --duration {seconds} --format raw --output {stacks}"
        command = [str(Path(sys.executable).parent / "py-spy"), *sampler.split(), "--pid", str(server.workers[0].pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        running.result()
        if done.returncode:
            raise BenchError(f"py-spy can't look into the worker; run as root, or allow ptrace:\n{done.stderr.strip()}")
        return stacks.read_text().splitlines()


def _stage(stack: str) -> str:
    if COMMIT_FRAME in stack:
        return _COMMIT
    for frame in reversed(stack.split(";")):
        if found := _FILE.search(frame):
            for stage, parts in STAGES.items():
                if any(part in found[1] for part in parts):
                    return stage
    return _LOOP
