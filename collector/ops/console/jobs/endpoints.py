"""`POST /api/redrive/preview`, `/api/replay/preview` and `/api/jobs`, `GET /api/jobs`, `DELETE /api/jobs/ID`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from collector.errors import BadSettings
from collector.ops.console.access.actions import check_actions, log_action
from collector.ops.console.access.guard import address_of, caller_of
from collector.ops.console.api.bodies import read_body
from collector.ops.console.api.parameters import read_parameters
from collector.ops.console.api.refusals import json_response, refused
from collector.ops.console.api.unreadable import reading_files
from collector.ops.console.jobs.commands import check_arguments, frozen, json_of, run_preview
from collector.ops.console.jobs.files import JobActor
from collector.ops.console.jobs.jobs import Jobs
from collector.ops.console.jobs.plans import PLAN_SECONDS, JobPlan
from collector.ops.console.jobs.requests import (
    JobRequest,
    RedriveRequest,
    ReplayRequest,
    conditions,
    redrive_arguments,
    replay_arguments,
)
from collector.ops.console.letters.endpoints import check_property
from collector.ops.console.lookup.event_endpoint import NoParameters
from collector.ops.console.rows.redaction import Redaction
from collector.settings import Settings
from collector.ship.replay import Replay, sink_named
from wal.errors import cause_of
from wal.log import now_ms
from wal.tools.listing import utc
from wal.tools.select import Selection

_MOST_BYTES: Final = 64 << 10
_MOST_REASONS: Final = 50
_OTHER: Final = "other reasons"
_ONE_PREVIEW: Final = threading.Lock()
"""Each is a process that may read all dead letters."""


class JobDesk(NamedTuple):
    """The state of the endpoints; `config` is the path of the settings file."""

    settings: Settings
    config: str
    redaction: Redaction
    jobs: Jobs


async def preview_redrive(desk: JobDesk, request: Request) -> Response:
    """Count the letters that would pass, and freeze the plan."""
    check_actions(desk.settings.admin)
    redrive = await read_body(request, RedriveRequest, _MOST_BYTES)
    check_property(redrive.selection.property or "", desk.redaction)
    return json_response(await run_in_threadpool(_plan_redrive, desk, redrive))


async def preview_replay(desk: JobDesk, request: Request) -> Response:
    """Count the events that would be sent, and freeze the plan."""
    check_actions(desk.settings.admin)
    replay = await read_body(request, ReplayRequest, _MOST_BYTES)
    return json_response(await run_in_threadpool(_plan_replay, desk, replay))


async def start_job(desk: JobDesk, request: Request) -> Response:
    """Run a plan."""
    check_actions(desk.settings.admin)
    start = await read_body(request, JobRequest, _MOST_BYTES)
    caller = caller_of(request)
    actor = JobActor(caller.name if caller else "", address_of(request.scope))
    with _jobs_kept():
        job = await run_in_threadpool(desk.jobs.start, start.plan, desk.config, actor)
    log_action(request, job.plan.kind, f"job {job.id}, {job.plan.title}", "started")
    return json_response({"job": job.id}, 202)


async def stop_job(desk: JobDesk, request: Request) -> Response:
    """Interrupt a job: what is done stays done."""
    check_actions(desk.settings.admin)
    with _jobs_kept():
        job = await run_in_threadpool(desk.jobs.stop, request.path_params["id"])
    log_action(request, job.plan.kind, f"job {job.id}, {job.plan.title}", "told to stop")
    return Response(None, 204)


def list_jobs(desk: JobDesk, request: Request) -> Response:
    """All jobs that are known, newest first."""
    read_parameters(request.scope["query_string"], NoParameters)
    with _jobs_kept():
        listed = desk.jobs.listed()
    jobs = [
        {
            "id": job.id,
            "kind": job.plan.kind,
            "state": state.state,
            "done": state.done,
            "total": job.plan.total,
            "message": state.message,
            "started_ms": job.started_ms,
            "ended_ms": state.ended_ms,
            "exit_code": state.exit_code,
            "title": job.plan.title,
            "request": job.plan.request,
        }
        for job, state in listed
    ]
    return json_response({"jobs": jobs})


@reading_files()
def _plan_redrive(desk: JobDesk, redrive: RedriveRequest) -> dict[str, Any]:
    arguments = (*frozen(desk.settings.dead_letters.dir), *redrive_arguments(redrive.selection))
    result = _preview(desk, ("redrive", "--json", *arguments))
    letters = result["letters"]
    plan = JobPlan(
        "redrive", f"redrive of {letters} dead letters", ("redrive", "--json", *arguments), json_of(redrive), letters
    )
    return {
        **_kept(desk, plan),
        "letters": letters,
        "would_pass": result["redriven"],
        "events": result["events"],
        "redriven_before": result["earlier_events"],
        "still_refused": _most_frequent(result["refused"]),
        "unknown": result["unknown"],
        "of_sinks": result["of_sinks"],
    }


@reading_files()
def _plan_replay(desk: JobDesk, replay: ReplayRequest) -> dict[str, Any]:
    until = now_ms() if replay.to is None else min(replay.to, now_ms())
    if replay.start >= until:
        raise refused("bad_body", "from: expected a time before `to` and before now")
    selection = Selection(replay.start, until, where=conditions(replay, desk.redaction.hides))
    label = Replay(_sink(desk, replay.sink), selection, replay.name, replay.dead_letters).label
    directory = desk.settings.dead_letters.dir if replay.dead_letters else desk.settings.log.dir
    arguments = ("replay", "--json", *frozen(directory), *replay_arguments(replay, until))
    result = _preview(desk, arguments)
    title = f"replay to {replay.sink}, {utc(replay.start)} to {utc(until)}"
    events = result["events"] + result["unproven"]
    # with its end, so that the same request is the same replay
    plan = JobPlan("replay", title, arguments, json_of(replace(replay, to=until)), events, label)
    sent = min(desk.jobs.sent(label), events)
    return {**_kept(desk, plan), "events": events, "bytes": result["bytes"], "already_sent": sent}


def _sink(desk: JobDesk, name: str) -> Any:
    try:
        return sink_named(desk.settings, name)
    except BadSettings as error:
        raise refused("bad_body", f"sink: {error}") from None


def _preview(desk: JobDesk, arguments: tuple[str, ...]) -> Any:
    check_arguments(arguments)
    with _alone():
        return run_preview((*arguments, "--config", desk.config))


@contextmanager
def _jobs_kept() -> Iterator[None]:
    """Refuse a request if the files of the jobs can't be used."""
    try:
        yield
    except OSError as error:
        raise refused("unavailable", f"the jobs in admin.dir can't be read or written: {cause_of(error)}") from None


@contextmanager
def _alone() -> Iterator[None]:
    if not _ONE_PREVIEW.acquire(blocking=False):
        raise refused("busy", "another preview runs: try again")
    try:
        yield
    finally:
        _ONE_PREVIEW.release()


def _kept(desk: JobDesk, plan: JobPlan) -> dict[str, Any]:
    return {"plan": desk.jobs.plans.add(plan), "expires_ms": now_ms() + int(PLAN_SECONDS * 1000)}


def _most_frequent(refused_letters: dict[str, int]) -> dict[str, int]:
    """The most frequent reasons, and the rest together: reasons hold text of senders, so that there may be many."""
    ranked = sorted(refused_letters.items(), key=lambda item: -item[1])
    rest = sum(count for _, count in ranked[_MOST_REASONS:])
    return dict(ranked[:_MOST_REASONS]) | ({_OTHER: rest} if rest else {})
