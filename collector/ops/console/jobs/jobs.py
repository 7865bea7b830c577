"""Jobs: redrives and replays as child processes, which outlive the page and this process.

A job is two files: `ID.json`, what it is and how it ended, and `ID.out`, what it has printed. The child holds a lock on
its output as long as it lives, so that any later process of the console knows whether it runs.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from collector.ops.console.api.refusals import refused
from collector.ops.console.folder import report_memory
from collector.ops.console.jobs.commands import command_line
from collector.ops.console.jobs.files import Job, JobActor, JobFiles, JobState, State
from collector.ops.console.jobs.output import JobOutput, done_of, read_output, summary_of
from collector.ops.console.jobs.plans import JobKind, Plans
from collector.process_log.of_console import ConsoleAction
from wal.errors import cause_of
from wal.log import now_ms

_RECENT_MS: Final = 60_000
"""How long after its end a job is still told to open pages."""
_HIDDEN_TEXT: Final = "hidden by admin.redact; the folder admin.dir has it"
_STATES: Final[dict[int | None, State]] = {0: "done", 130: "stopped"}
"""By exit code; all others are failures."""


class Jobs:
    """Starts, stops and lists jobs. Threads may share it."""

    def __init__(self, directory: str, *, is_hiding: bool = False, clock: Callable[[], int] = now_ms) -> None:
        """`is_hiding`: text that commands print is not shown. `clock` gives Unix ms.

        Watches the jobs that run already. Where the folder can't be read, there is none, and the process log says so.
        """
        self._is_hiding = is_hiding
        self.plans = Plans()
        self._files = JobFiles(directory)
        self._clock = clock
        self._guard = threading.Lock()
        try:
            kept = self._files.load()
        except OSError as error:
            report_memory(directory, cause_of(error))
            kept = []
        for job in kept:
            if job.end is None:
                self._watch(job, None)

    def start(self, name: str, config: str, actor: JobActor) -> Job:
        """Run a plan. Raises Rejected while another job of its kind runs, or if it has expired or run.

        Raises OSError if the job can't be begun or noted. The plan is then left, and no file or process of the job.
        """
        with self._guard:
            plan = self.plans.find(name)
            self._check_free(plan.kind)
            self._files.drop_old()
            started_ms = self._clock()
            job_id = f"{started_ms}-{secrets.token_hex(4)}"
            try:
                process = self._spawn(job_id, command_line((*plan.arguments, "--config", config)))
                job = Job(job_id, plan, actor, started_ms, process.pid)
                self._save_or_kill(job, process)
            except OSError:
                self._files.drop(job_id)
                raise
            self.plans.drop(name)
        self._watch(job, process)
        return job

    def stop(self, job_id: str) -> Job:
        """Interrupt a job like Ctrl-C; nothing happens to one that has ended. Raises Rejected, OSError."""
        job = next((job for job in self._files.load() if job.id == job_id), None)
        if job is None:
            raise refused("not_found", "there is no such job")
        if self._files.is_running(job.id):  # it holds the lock, so that its pid can't be another process's
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(job.pid, signal.SIGINT)
        return job

    def listed(self) -> list[tuple[Job, JobState]]:
        """All jobs and their states, newest first. Raises OSError."""
        return [(job, self.state(job)) for job in self._files.load()]

    def sent(self, label: str) -> int:
        """Events that earlier jobs of a replay have delivered. Raises OSError."""
        return max((state.done for job, state in self.listed() if job.plan.label == label), default=0)

    def recent(self) -> list[dict[str, object]]:
        """The jobs that run or ended within the last minute, for the stream. Raises OSError."""
        now = self._clock()
        found = [
            (job, self.state(job)) for job in self._files.load() if job.end is None or _ended(job) > now - _RECENT_MS
        ]
        return [_event_of(job, state) for job, state in found]

    def state(self, job: Job) -> JobState:
        """How far a job is, as it may be shown. Raises OSError."""
        state = self._state(job)
        is_hidden = self._is_hiding and state.is_text and state.message
        return replace(state, message=_HIDDEN_TEXT) if is_hidden else state

    def _state(self, job: Job) -> JobState:
        if job.end:
            return job.end
        # before the output is read: what the job prints at its end must be in it
        is_running = self._files.is_running(job.id)
        output = read_output(self._files.tail(job.id))
        if is_running:
            return JobState("running", done_of(output), output.message, is_text=True)
        return _end_of(output, self._clock())

    def _spawn(self, job_id: str, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        descriptor = self._files.create_output(job_id)
        try:
            return subprocess.Popen(  # noqa: S603  no shell, and the program is our own
                arguments, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True
            )
        finally:
            os.close(descriptor)

    def _save_or_kill(self, job: Job, process: "subprocess.Popen[bytes]") -> None:
        """Save a job that has just begun. One that can't be saved could be neither seen nor stopped: kill it."""
        try:
            self._files.save(job)
        except OSError:
            process.kill()
            process.wait()
            raise

    def _check_free(self, kind: JobKind) -> None:
        for job in self._files.load():
            if job.plan.kind == kind and self.state(job).state == "running":
                raise refused("busy", f"a {kind} runs already: job {job.id}; wait for its end, or stop it")

    def _watch(self, job: Job, process: "subprocess.Popen[bytes] | None") -> None:
        """Note the end of a job when it comes. `process`: if it is a child of this process."""
        threading.Thread(target=self._note_end, args=(job, process), name=f"job {job.id}", daemon=True).start()

    def _note_end(self, job: Job, process: "subprocess.Popen[bytes] | None") -> None:
        """Wait for the end of a job. Of several that wait, one notes it."""
        self._files.wait(job.id)
        if process:
            process.wait()
        with self._files.alone():
            if any(saved.id == job.id and saved.end for saved in self._files.load()):
                return
            end = _end_of(read_output(self._files.tail(job.id)), self._clock())
            self._files.save(replace(job, end=end))
        actor, result = job.actor, f"{end.state}, {f'exit code {end.exit_code}' if end.is_text else end.message}"
        ConsoleAction(job.plan.kind, actor.who, actor.address, f"job {job.id}, {job.plan.title}", result).write()


def _end_of(output: JobOutput, ended_ms: int) -> JobState:
    """The end of a job whose process is gone, by its output."""
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
