"""The state of a node: what the supervisor knows of its workers. Pure; the admin process gets it at each change."""

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

ProcessState = Literal["starting", "serving", "waiting"]
"""As in the supervisor's picture of a place; `waiting` is for the next start after a death."""


class WorkerReport(Struct, frozen=True):
    """A worker's report to its supervisor, when it serves and at each change."""

    shard: str | None
    """None until its log is open."""
    reason: str | None
    """The code of why it is not ready, see `ops.readiness`; None if it is."""
    swaps: int = 0
    """The number of the last reload whose settings it has swapped in."""
    certificate_end: float | None = None
    """Unix seconds at which the certificate expires that it serves; None without TLS."""


class Reload(Struct, frozen=True):
    """A reload of the settings, and its outcome."""

    is_accepted: bool
    lines: tuple[str, ...]
    """The changes, or why it was refused."""
    unix_ms: int


class WorkerState(Struct, frozen=True):
    """A place and the worker in it."""

    place: int
    state: ProcessState = "starting"
    pid: int | None = None
    """None while no process runs."""
    shard: str | None = None
    reason: str | None = "starting"
    """Why the worker is not ready; None if it is."""
    certificate_end: float | None = None
    """As the worker has reported it."""
    started_ms: int | None = None
    """Unix ms of the start of the process."""
    restarts: int = 0
    last_death: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the worker could acknowledge an event now."""
        return self.reason is None


class NodeState(Struct, frozen=True):
    """The supervisor and all places."""

    workers: tuple[WorkerState, ...] = ()
    started_ms: int = 0
    """Unix ms of the start of the supervisor."""
    is_stopping: bool = False
    last_reload: Reload | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the node takes events: one worker that could acknowledge them is enough, since all share a socket."""
        return not self.is_stopping and any(worker.is_ready for worker in self.workers)

    @property
    def reason(self) -> str | None:
        """Why the node is not ready: the reason of its first worker, if it does not stop; None if it is ready."""
        if self.is_ready:
            return None
        return "draining" if self.is_stopping else self.workers[0].reason


class Node:
    """Keeps the state of a node for its supervisor, and calls `on_change` with each new one."""

    def __init__(self, workers: int, started_ms: int, on_change: Callable[[NodeState], None]) -> None:
        self._on_change = on_change
        self._state = NodeState(tuple(WorkerState(place) for place in range(workers)), started_ms)
        on_change(self._state)

    def started(self, place: int, pid: int | None, unix_ms: int) -> None:
        """A process runs in a place."""
        self._replace(
            place,
            state="starting",
            pid=pid,
            shard=None,
            reason="starting",
            certificate_end=None,
            started_ms=unix_ms,
        )

    def reported(self, place: int, report: WorkerReport) -> None:
        """A worker serves, or its readiness has changed."""
        self._replace(
            place,
            state="serving",
            shard=report.shard,
            reason=report.reason,
            certificate_end=report.certificate_end,
        )

    def died(self, place: int, cause: str) -> None:
        """A worker has died, or could not be started; the place waits for the next start."""
        restarts = self._state.workers[place].restarts + 1
        self._replace(
            place,
            state="waiting",
            pid=None,
            reason="waiting",
            certificate_end=None,
            restarts=restarts,
            last_death=cause,
        )

    def reloaded(self, reload: Reload) -> None:
        """A reload has ended."""
        self._set(replace(self._state, last_reload=reload))

    def stop(self) -> None:
        """The collector is stopping."""
        self._set(replace(self._state, is_stopping=True))

    @property
    def is_stopping(self) -> bool:
        """Whether the collector is stopping."""
        return self._state.is_stopping

    @property
    def restarts(self) -> int:
        """The restarts of all places."""
        return sum(worker.restarts for worker in self._state.workers)

    def _replace(self, place: int, **changes: Any) -> None:
        workers = list(self._state.workers)
        workers[place] = replace(workers[place], **changes)
        self._set(replace(self._state, workers=tuple(workers)))

    def _set(self, state: NodeState) -> None:
        self._state = state
        self._on_change(state)
