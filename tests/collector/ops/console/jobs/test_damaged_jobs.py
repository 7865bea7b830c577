"""Files of jobs that can't be read take neither the admin address nor its streams with them."""

import threading
from pathlib import Path

import pytest

from collector.ops.console.jobs.jobs import Jobs
from collector.ops.console.jobs.recent_jobs import RecentJobs
from tests.collector.ops.console.asking import admin_app, asked
from tests.collector.ops.console.looked_up import LookedUp
from tests.running import eventually

_JOB = (
    b'{"id":"%b","plan":{"kind":"redrive","title":"t","arguments":[],"request":{},"total":1},"actor":{"who":"a",'
    b'"address":"b"},"started_ms":1,"pid":1,"end":{"state":"done","done":1,"message":"%b","ended_ms":2}}'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one job, which has ended."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/1-a.json").write_bytes(_JOB % (b"1-a", b"fine"))
    return tmp_path / "jobs"


@pytest.mark.parametrize("content", [_JOB % (b"2-b", b"\xff"), b"{", b'{"plan":' + b"[" * 100_000, None])
def test_a_job_whose_file_is_damaged_hides_no_other(folder: Path, content: bytes | None) -> None:
    if content is None:
        (folder / "2-b.json").mkdir()
    else:
        (folder / "2-b.json").write_bytes(content)
    assert [job.id for job, _ in Jobs(str(folder)).listed()] == ["1-a"]


def test_a_node_whose_jobs_cannot_be_read_serves_all_else(tmp_path: Path) -> None:
    (tmp_path / "data/console").mkdir(parents=True)
    (tmp_path / "data/console/jobs").write_text("a file")
    node = LookedUp(tmp_path)
    assert asked(admin_app(node.settings), "/livez").status == 200
    refused = node.json("/api/jobs", 503)
    assert (refused["code"], "admin.dir" in refused["message"]) == ("unavailable", True)


def test_streams_get_the_last_jobs_that_could_be_read_and_wait_for_no_disk() -> None:
    hang = threading.Event()
    jobs: list[dict[str, object]] = [{"id": "1-a"}]

    def read() -> list[dict[str, object]]:
        hang.wait(10)
        if not jobs:
            raise PermissionError
        return list(jobs)

    recent = RecentJobs(read)
    assert recent.get() == ()
    hang.set()
    eventually(lambda: recent.get() == [{"id": "1-a"}], "the jobs were read")
    jobs.clear()
    eventually(lambda: recent.get() == (), "where they can't be read there is none")
