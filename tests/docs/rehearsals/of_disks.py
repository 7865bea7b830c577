"""Disks that run full, fill up, or stand still."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.crash.volume import filled, volume
from tests.docs.rehearsals.stage import EVENT, Stage
from tests.running import eventually

_SMALL: Final = "[log]\nsegment_bytes = 1048576\nmin_free_bytes = 4194304\nwarn_free_bytes = 33554432\n"
_SMALL_BYTES: Final = 64 << 20
_LARGE_EVENT_BYTES: Final = 60_000
_CLICK: Final = (
    "/event?portal_id=33167&prop_id=564990801&resp_type=redirect&ea=click&ec=ad&sid=1&aid=a&uid=u"
    "&redirect_url=https%3A%2F%2Fshop.example.com%2F"
)
_BAD_PIXEL: Final = "/event?portal_id=33167&prop_id=564990801&ea=view&ec=product&sid=-1&aid=a&uid=u"
"""Not retryable: a log that is close to its limits takes it, and its dead letter then finds no room."""
_SLOW_COMMIT_SECONDS: Final = 0.8
"""Longer than half a second, which is too long for the alert."""


def not_ready(stage: Stage) -> None:
    """A full disk, on which a start finds no room either; and the death of the supervisor."""
    stage.disk(_SMALL_BYTES)
    stage.start(_SMALL)
    data = stage.folder / "data"
    with filled(data):
        stage.fires()
        assert stage.post() == {503}
        stage.run("collector health", "not ready: disk_full, … exit code 1")
        stage.run("df", f"100% {data} … exit code 0")
        stage.run("df -i", f"{data} … exit code 0")
        stage.decides("`df` shows no room on the log's disk")
        stage.run("collector sink ls", "files data/log/00 up")
        stage.keep_evidence()
    stage.run("collector health", "ready exit code 0")
    assert stage.collector.stop() == 0
    with filled(data), ThreadPoolExecutor(1) as pool:
        starting = pool.submit(stage.collector.start)
        stage.sees("log_delayed")
        stage.fires()
    starting.result()
    stage.sees("log_available")
    stage.collector.process.kill()
    stage.sees("supervisor_died")
    stage.collector.kill()
    stage.collector.start()
    assert stage.post() == {200}
    stage.ends()


def shedding(stage: Stage) -> None:
    """Events and clicks that come to a full disk."""
    stage.disk(_SMALL_BYTES)
    stage.start(_SMALL)
    assert stage.post() == {200}
    with filled(stage.folder / "data"):
        eventually(lambda: stage.post() == {503}, "events are shed")
        assert stage.collector.send("GET", _CLICK).status == 302
        stage.fires(stage.post)
        stage.sees("shedding_began", "click_lost")
        stage.decides("`only … bytes are free`")
        stage.keep_evidence()
    eventually(lambda: stage.post() == {200}, "events are taken again")
    stage.sees("shedding_ended")
    stage.ends()


def disk_fills(stage: Stage) -> None:
    """Another program that writes to the disk of the log."""
    stage.disk(1 << 30)
    stage.start()
    assert stage.post() == {200}
    other = stage.folder / "data/export"
    with other.open("wb", buffering=0) as file:
        stage.fires(lambda: file.write(bytes(1 << 20)))
        stage.run("du -sh data/log data/dead data/dedup", "data/log … data/dead … data/dedup exit code 0")
        stage.decides("other folders grow")
        stage.run("collector sink ls", "files data/log/00 up …")
        stage.decides("no sink is behind")
        stage.keep_evidence()
    other.unlink()
    stage.run("df", f"{stage.folder / 'data'} exit code 0")
    stage.ends()


def disk_full(stage: Stage) -> None:
    """More delivered events than the disk holds, and then another program that takes what is left."""
    stage.disk(_SMALL_BYTES)
    stage.start(_SMALL)
    for _ in range(_SMALL_BYTES // _LARGE_EVENT_BYTES * 3 // 2):
        assert stage.post(extra={"text": "x" * _LARGE_EVENT_BYTES}) == {200}
    stage.sees("disk_low", "segments_given_up")
    assert stage.post() == {200}
    with filled(stage.folder / "data") as fill:

        def is_letter_lost() -> bool:
            stage.post()  # where there is room for it, so that the sink has something to do
            fill()  # the room that segments gave back
            stage.collector.send("GET", _BAD_PIXEL)
            return " dead_letter_lost: " in stage.collector.stderr

        eventually(is_letter_lost, "a dead letter finds no room")
        stage.sees("dead_letter_lost")
        stage.run("df", f"100% {stage.folder / 'data'}")
        stage.decides("`df` shows little room")
        stage.run("df -i", "exit code 0")
        stage.run("collector sink ls", "files data/log/00 … No space left on device")
        stage.decides("`collector sink ls` shows a sink that is behind, but not for `No space left on device`")
        stage.run("du -sh data/log data/dead data/dedup", "data/log … data/dead … data/dedup exit code 0")
        stage.keep_evidence()
    stage.change("[log]\n", "[log]\nretain_bytes = 1048576\n")
    stage.run("collector reload", "log.retain_bytes: 10737418240 -> 1048576 exit code 0")
    stage.run("collector health", "ready exit code 0")
    stage.ends()


def commit_slow(stage: Stage) -> None:
    """A disk that stands still again and again."""
    disk = stage.enter(volume(stage.folder / "data", "ext4", stage.folder / "image"))
    stage.start("[log]\nstall_seconds = 5\nmin_free_bytes = 0\nwarn_free_bytes = 0\n")
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            with disk.frozen():
                posted = pool.submit(stage.collector.post, EVENT)
                time.sleep(_SLOW_COMMIT_SECONDS)
            assert posted.result().status == 200
    stage.fires()
    stage.keep_evidence()
    stage.ends()
