"""Events of the supervisor and of its workers, from start to end."""

import logging

from collector.process_log.event import ProcessLogEvent


class Starting(ProcessLogEvent, frozen=True):
    """The settings are read and the address is taken; the workers are started now."""

    level = logging.INFO
    text = "collector {version} starts {workers:worker} on {log}, with {settings} (digest {digest})"
    version: str
    settings: str
    digest: str
    workers: int
    log: str


class StartWarning(ProcessLogEvent, frozen=True):
    """The collector can start, but the settings or the machine limit it in a way that is probably not intended."""

    text = "{warning}"
    warning: str


class StartFailed(ProcessLogEvent, frozen=True):
    """A start is impossible: with exit code 4 for now, else until a person has acted. This line is the reason."""

    level = logging.CRITICAL
    page = "TracklogNotReady"
    text = "{reason}"
    reason: str


class Ready(ProcessLogEvent, frozen=True):
    """All workers serve."""

    level = logging.INFO
    text = "serving on {address} with {workers:worker}, admin address {admin}, Ctrl-C stops"
    address: str
    workers: int
    admin: str


class ReloadAccepted(ProcessLogEvent, frozen=True):
    """Changed settings are in effect in all workers."""

    level = logging.INFO
    text = "settings reloaded from {settings}: {changes}"
    settings: str
    changes: tuple[str, ...]


class ReloadRefused(ProcessLogEvent, frozen=True):
    """Changed settings have a fault, or can't be applied without a restart. Those from before stay in effect."""

    level = logging.ERROR
    page = "TracklogReloadRefused"
    text = "settings of {settings} refused, nothing has changed: {faults}"
    settings: str
    faults: tuple[str, ...]


class ReloadBug(ProcessLogEvent, frozen=True):
    """A bug ended a reload, which counts as refused. `reload_refused` follows."""

    level = logging.ERROR
    page = "TracklogBug"
    text = "bug in the collector: reload refused"


class SwapLate(ProcessLogEvent, frozen=True):
    """Workers have not confirmed changed settings; they take them as soon as they go on."""

    level = logging.ERROR
    page = "TracklogReloadRefused"
    text = "workers {worker_pids} have not confirmed the changed settings yet"
    worker_pids: tuple[int, ...]


class ControlSocketFailed(ProcessLogEvent, frozen=True):
    """`collector reload` can't reach this collector. SIGHUP does. The socket is tried again every five seconds."""

    text = "{path}: no socket for collector reload: {error}; SIGHUP reloads as well"
    path: str
    error: str


class CertificateExpires(ProcessLogEvent, frozen=True):
    """The certificate that is served expires within 14 days, or has expired. Told at a start and once a day."""

    page = "TracklogCertificateExpires"
    text = "{warning}"
    warning: str


class CertificateKept(ProcessLogEvent, frozen=True):
    """A worker could not read the new certificate at a reload, and serves the one that it has."""

    level = logging.ERROR
    page = "TracklogCertificateExpires"
    text = "{reason}; the certificate from before is served"
    reason: str


class WorkerDied(ProcessLogEvent, frozen=True):
    """A worker process ended and nobody had asked it to; another one is started after the delay."""

    level = logging.ERROR
    page = "TracklogWorkerRestarts"
    text = "worker {worker_pid} died: {cause}; restarts so far: {restarts}; starts again in {delay_seconds} s"
    worker_pid: int
    cause: str
    restarts: int
    delay_seconds: int


class WorkerNotStarted(ProcessLogEvent, frozen=True):
    """The machine gave no process for a worker; it is tried again after the delay."""

    level = logging.ERROR
    page = "TracklogWorkerRestarts"
    text = "a worker could not be started: {error}; restarts so far: {restarts}; starts again in {delay_seconds} s"
    error: str
    restarts: int
    delay_seconds: int


class WorkerFailed(ProcessLogEvent, frozen=True):
    """A worker ends itself, because only a new process can go on."""

    level = logging.CRITICAL
    page = "TracklogWorkerRestarts"
    text = "{reason}"
    reason: str


class WorkerBug(ProcessLogEvent, frozen=True):
    """A bug ended a part of a worker, so the worker ends itself and another one is started."""

    level = logging.CRITICAL
    page = "TracklogWorkerRestarts"
    text = "bug in the collector: this worker stops"


class SupervisorDied(ProcessLogEvent, frozen=True):
    """The supervisor was killed, so its workers stop: they would keep the socket and the shards from the next start."""

    level = logging.CRITICAL
    page = "TracklogNotReady"
    text = "the supervisor has died: this worker stops too"


class AdminDied(ProcessLogEvent, frozen=True):
    """The admin process ended, or could not be started; another one is started after the delay. Intake goes on."""

    level = logging.ERROR
    page = "TracklogScrapeFails"
    text = "{cause}; starts again in {delay_seconds} s; workers are not affected"
    cause: str
    delay_seconds: int


class Draining(ProcessLogEvent, frozen=True):
    """A signal ends the collector after `server.shutdown_delay`; health is 503 and requests are still taken."""

    level = logging.INFO
    text = "requests are still taken for {seconds:g} s, Ctrl-C again ends at once"
    seconds: float


class Stopping(ProcessLogEvent, frozen=True):
    """A signal ends the collector. Workers that are not ready by the time in `until` are killed."""

    level = logging.INFO
    text = "waiting for {workers:worker} to ship and close, until {until}; Ctrl-C again ends at once"
    workers: int
    until: str


class WorkerDiedStopping(ProcessLogEvent, frozen=True):
    """A worker ended by another cause than the stop. What it had acknowledged ships after the next start."""

    level = logging.ERROR
    page = "TracklogWorkerRestarts"
    text = "worker {worker_pid} died while it stopped: {cause}"
    worker_pid: int
    cause: str


class WorkersKilled(ProcessLogEvent, frozen=True):
    """Workers were still busy at the end of `server.grace_seconds`, or at a second signal."""

    text = (
        "{reason}: killed {workers:worker} ({worker_pids}); acknowledged events are in the log, "
        "and ship after the next start"
    )
    reason: str
    workers: int
    worker_pids: tuple[int, ...]


class Stopped(ProcessLogEvent, frozen=True):
    """All workers have ended after a signal, and the supervisor ends with this exit code."""

    level = logging.INFO
    text = "ended after {seconds:.1f} s with exit code {exit_code}"
    exit_code: int
    seconds: float
