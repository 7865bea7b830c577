"""Jobs: redrives and replays as child processes, which outlive the page and this process.

A job is two files: `ID.json`, what it is and how it ended, and `ID.out`, what it has printed. The child holds a lock on
its output as long as it lives, so that any later process of the console knows whether it runs.
"""

import contextlib
import fcntl
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from collector.ops.console.job_commands import command_line
from collector.ops.console.job_output import JobOutput, done_of, read_output, summary_of
from collector.ops.console.plans import JobKind, JobPlan, Plans
from collector.ops.console.refusals import refused
from collector.process_log.of_console import ConsoleAction
from wal.files import FILE_MODE, Files, make_directories, write_file
from wal.log import now_ms

_TAIL_BYTES: Final = 64 << 10
"""The end of an output: more than the last lines of each kind."""
_MOST_JOBS: Final = 100
"""Files of older ones are deleted."""
_RECENT_MS: Final = 60_000
"""How long after its end a job is still told to open pages."""
_HIDDEN_TEXT: Final = "hidden by admin.redact; the folder admin.dir has it"
State = Literal["running", "done", "failed", "stopped"]
_STATES: Final[dict[int | None, State]] = {0: "done", 130: "stopped"}
"""By exit code; all others are failures."""


class JobActor(Struct, frozen=True):
    """The one who started a job, for the process log."""

    who: str
    address: str


class JobState(Struct, frozen=True):
    """How far a job is. `ended_ms` is None while it runs, `exit_code` also where it was killed."""

    state: State
    done: int
    message: str
    ended_ms: int | None = None
    exit_code: int | None = None
    is_text: bool = False
    """Whether the message is text that the command printed, which may quote events."""


class Job(Struct, frozen=True):
    """A job, as its file has it: `end` is there once somebody has seen it end."""

    id: str
    plan: JobPlan
    actor: JobActor
    started_ms: int
    pid: int
    end: JobState | None = None


class Jobs:
    """Starts, stops and lists jobs. Threads may share it."""

    def __init__(self, directory: str, *, is_hiding: bool = False, clock: Callable[[], int] = now_ms) -> None:
        """`is_hiding`: text that commands print is not shown. `clock` gives Unix ms.

        Watches the jobs that run already. Raises OSError.
        """
        self._is_hiding = is_hiding
        self.plans = Plans()
        self._directory = directory
        self._clock = clock
        self._guard = threading.Lock()
        for job in self._load():
            if job.end is None:
                self._watch(job, None)

    def start(self, name: str, config: str, actor: JobActor) -> Job:
        """Run a plan. Raises Rejected while another job of its kind runs, or if it has expired or run; OSError."""
        with self._guard:
            plan = self.plans.find(name)
            self._check_free(plan.kind)
            self.plans.take(name)
            make_directories(self._directory)
            self._drop_old()
            started_ms = self._clock()
            job_id = f"{started_ms}-{secrets.token_hex(4)}"
            descriptor = os.open(self._output(job_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, FILE_MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                process = subprocess.Popen(  # noqa: S603  no shell, and the program is our own
                    command_line((*plan.arguments, "--config", config)),
                    stdin=subprocess.DEVNULL,
                    stdout=descriptor,
                    stderr=descriptor,
                    start_new_session=True,
                )
            finally:
                os.close(descriptor)
            job = Job(job_id, plan, actor, started_ms, process.pid)
            self._save(job)
        self._watch(job, process)
        return job

    def stop(self, job_id: str) -> Job:
        """Interrupt a job like Ctrl-C; nothing happens to one that has ended. Raises Rejected, OSError."""
        job = next((job for job in self._load() if job.id == job_id), None)
        if job is None:
            raise refused("not_found", "there is no such job")
        if self._is_running(job):  # it holds the lock, so that its pid can't be another process's
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(job.pid, signal.SIGINT)
        return job

    def listed(self) -> list[tuple[Job, JobState]]:
        """All jobs and their states, newest first. Raises OSError."""
        return [(job, self.state(job)) for job in self._load()]

    def sent(self, label: str) -> int:
        """Events that earlier jobs of a replay have delivered. Raises OSError."""
        return max((state.done for job, state in self.listed() if job.plan.label == label), default=0)

    def recent(self) -> list[dict[str, object]]:
        """The jobs that run or ended within the last minute, for the stream."""
        now = self._clock()
        found = [(job, self.state(job)) for job in self._load() if job.end is None or _ended(job) > now - _RECENT_MS]
        return [_event_of(job, state) for job, state in found]

    def state(self, job: Job) -> JobState:
        """How far a job is, as it may be shown. Raises OSError."""
        state = self._state(job)
        is_hidden = self._is_hiding and state.is_text and state.message
        return replace(state, message=_HIDDEN_TEXT) if is_hidden else state

    def _state(self, job: Job) -> JobState:
        if job.end:
            return job.end
        is_running = self._is_running(job)  # before the output is read: what it prints at its end must be in it
        output = read_output(self._tail(job.id))
        if is_running:
            return JobState("running", done_of(output), output.message, is_text=True)
        return _end_of(output, self._clock())

    def _check_free(self, kind: JobKind) -> None:
        if running := [job.id for job in self._load() if job.plan.kind == kind and self.state(job).state == "running"]:
            raise refused("busy", f"a {kind} runs already: job {running[0]}; wait for its end, or stop it")

    def _watch(self, job: Job, process: "subprocess.Popen[bytes] | None") -> None:
        """Note the end of a job when it comes. `process`: if it is a child of this process."""
        threading.Thread(target=self._note_end, args=(job, process), name=f"job {job.id}", daemon=True).start()

    def _note_end(self, job: Job, process: "subprocess.Popen[bytes] | None") -> None:
        """Wait for the end of a job, which gives its lock away. Of several that wait, one notes it."""
        with open(self._output(job.id), "rb") as output:
            fcntl.flock(output, fcntl.LOCK_EX)
            if process:
                process.wait()
            if any(each.id == job.id and each.end for each in self._load()):
                return
            end = _end_of(read_output(self._tail(job.id)), self._clock())
            self._save(replace(job, end=end))
        actor, result = job.actor, f"{end.state}, {end.message}"
        ConsoleAction(job.plan.kind, actor.who, actor.address, f"job {job.id}, {job.plan.title}", result).write()

    def _is_running(self, job: Job) -> bool:
        try:
            with open(self._output(job.id), "rb") as output:
                fcntl.flock(output, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    def _tail(self, job_id: str) -> bytes:
        with open(self._output(job_id), "rb") as output:
            output.seek(max(0, os.fstat(output.fileno()).st_size - _TAIL_BYTES))
            return output.read()

    def _load(self) -> list[Job]:
        """All jobs, newest first; without those whose files somebody has damaged."""
        return list(self._jobs())

    def _jobs(self) -> Iterator[Job]:
        for name in reversed(Files().names(self._directory)):
            if name.endswith(".json"):
                try:
                    with open(os.path.join(self._directory, name), "rb") as file:
                        yield msgspec.json.decode(file.read(), type=Job)
                except (FileNotFoundError, msgspec.DecodeError):
                    continue

    def _save(self, job: Job) -> None:
        write_file(Files(), os.path.join(self._directory, f"{job.id}.json"), msgspec.json.encode(job))

    def _output(self, job_id: str) -> str:
        return os.path.join(self._directory, f"{job_id}.out")

    def _drop_old(self) -> None:
        for job in self._load()[_MOST_JOBS - 1 :]:
            if job.end:
                for path in (self._output(job.id), os.path.join(self._directory, f"{job.id}.json")):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)


def _end_of(output: JobOutput, ended_ms: int) -> JobState:
    """How a job ended whose process is gone, by what it has printed."""
    message = summary_of(output)
    if output.exit is None:
        message = f"it ended without an exit code, as if killed; {message}".removesuffix("; ")
    return JobState(
        _STATES.get(output.exit, "failed"), done_of(output), message, ended_ms, output.exit, output.result is None
    )


def _ended(job: Job) -> int:
    return (job.end and job.end.ended_ms) or 0


def _event_of(job: Job, state: JobState) -> dict[str, object]:
    return {
        "id": job.id,
        "kind": job.plan.kind,
        "state": state.state,
        "done": state.done,
        "total": job.plan.total,
        "message": state.message,
    }
