"""The files of jobs: the description, the end, and the output of each."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from collector.errors import UNDECODABLE
from collector.ops.console.jobs.plans import JobPlan
from wal.files import FILE_MODE, Files, make_directories, write_file

_TAIL_BYTES: Final = 64 << 10
"""The end of an output: more than the last lines of each kind, but for a result with very many reasons."""
_MOST_TAIL_BYTES: Final = 4 << 20
_MOST_JOBS: Final = 100
"""Files of older ones are deleted."""
_SUFFIX: Final = ".json"
State = Literal["running", "done", "failed", "stopped"]


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


class JobFiles:
    """The folder of the jobs: `ID.json` and `ID.out` of each. Ids rise with the time of the start."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._ended: dict[str, Job] = {}
        """Jobs whose files do not change any more."""

    def load(self) -> list[Job]:
        """All jobs, newest first; without those whose files can't be read or are damaged. Raises OSError."""
        names = [name.removesuffix(_SUFFIX) for name in Files().names(self._directory) if name.endswith(_SUFFIX)]
        return [job for name in reversed(names) if (job := self._ended.get(name) or self._read(name))]

    def save(self, job: Job) -> None:
        """Write the description of a job, durably. Raises OSError."""
        write_file(Files(), self._path(job.id), msgspec.json.encode(job))

    def create_output(self, job_id: str) -> int:
        """A descriptor of a new output, locked until it is closed everywhere. Raises OSError."""
        make_directories(self._directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self.output(job_id), flags, FILE_MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def output(self, job_id: str) -> str:
        """The path of the output of a job."""
        return os.path.join(self._directory, f"{job_id}.out")

    def tail(self, job_id: str) -> bytes:
        """The end of the output of a job, with its last line of JSON; nothing if somebody has deleted it.

        Raises OSError.
        """
        tail = b""
        with contextlib.suppress(FileNotFoundError), open(self.output(job_id), "rb") as output:
            length, size = _TAIL_BYTES, os.fstat(output.fileno()).st_size
            while True:
                output.seek(max(0, size - length))
                tail = output.read()
                if b"\n{" in tail or length >= min(size, _MOST_TAIL_BYTES):
                    break
                length *= 8
        return tail

    def is_running(self, job_id: str) -> bool:
        """Whether the process of a job lives. Raises OSError."""
        try:
            with contextlib.suppress(FileNotFoundError), open(self.output(job_id), "rb") as output:
                fcntl.flock(output, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    def wait(self, job_id: str) -> None:
        """Wait until the process of a job ends. Takes no lock from others, who see then that it has ended."""
        with open(self.output(job_id), "rb") as output:
            fcntl.flock(output, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others out, also other processes. Raises OSError."""
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def drop_old(self) -> None:
        """Delete the files of the oldest jobs, so that there is room for another one. Raises OSError."""
        for job in self.load()[_MOST_JOBS - 1 :]:
            if job.end:
                self.drop(job.id)

    def drop(self, job_id: str) -> None:
        """Delete the files of a job that does not run, also the unfinished one of a `save` that failed.

        Raises OSError.
        """
        self._ended.pop(job_id, None)
        for path in (self.output(job_id), self._path(job_id), f"{self._path(job_id)}.tmp"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _read(self, job_id: str) -> Job | None:
        try:
            with open(self._path(job_id), "rb") as file:
                job = msgspec.json.decode(file.read(), type=Job)
        except (OSError, *UNDECODABLE):
            return None
        if job.end:
            self._ended[job_id] = job
        return job

    def _path(self, job_id: str) -> str:
        return os.path.join(self._directory, job_id + _SUFFIX)
