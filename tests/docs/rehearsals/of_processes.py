"""Processes that die, and a node that can't be scraped."""

import socket
from typing import Final

import psutil

from tests.docs.rehearsals.stage import Stage, last_id
from tests.running import eventually

_WORKERS: Final = 3
_DEATHS: Final = 12
"""The first ones may come before a scrape, which then does not see their number grow."""
_LONGER_WINDOW: Final = "10s"
_HALF_A_REQUEST: Final = (
    b"POST /event?portal_id=33167&prop_id=564990801 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"
)


def worker_restarts(stage: Stage) -> None:
    """SIGKILL to a worker, and to one that is stopping."""
    stage.start("[limits]\nbody_seconds = 60\n")
    assert stage.post() == {200}
    stage.collector.workers()[0].kill()
    stage.fires()
    stage.sees("worker_died")
    stage.decides("SIGKILL")
    stage.keep_evidence()
    eventually(lambda: stage.post() == {200}, "its successor serves")
    stage.run("collector audit", "balanced exit code 0")
    with socket.create_connection(("127.0.0.1", stage.collector.port)) as connection:
        connection.sendall(_HALF_A_REQUEST)
        stage.collector.process.terminate()
        eventually(lambda: " stopping: " in stage.collector.stderr, "the worker waits for the request")
        stage.collector.workers()[0].kill()
        stage.sees("worker_died_stopping")
    stage.collector.process.wait()
    stage.collector.start()
    stage.ends()


def crash_loop(stage: Stage) -> None:
    """Workers that are killed as soon as they live."""
    stage.start(workers=_WORKERS, window=_LONGER_WINDOW)
    assert stage.post() == {200}
    killed: set[psutil.Process] = set()

    def kill() -> bool:
        for worker in set(stage.collector.workers()) - killed:
            worker.kill()
            killed.add(worker)
        return len(killed) >= _DEATHS

    eventually(kill, f"{_DEATHS} workers have died")
    stage.fires()
    stage.decides("SIGKILL each time")
    stage.keep_evidence()
    eventually(lambda: stage.post() == {200}, "the workers are left alone, and serve")
    stage.ends()


def scrape_fails(stage: Stage) -> None:
    """The admin process dies, which comes back; then the node, which does not."""
    stage.start()
    stage.collector.admin_processes()[0].kill()
    stage.sees("admin_died")
    assert stage.post() == {200}
    stage.decides("a test event gets 200")
    stage.run("curl http://127.0.0.1:8081/livez", '{"status":"alive"} … exit code 0')
    stage.collector.kill()
    stage.fires()
    stage.run("curl http://127.0.0.1:8081/livez", "exit code 7")
    stage.decides("no connection to the event port")
    stage.keep_evidence()
    stage.collector.start()
    stage.ends()


def stop(stage: Stage) -> None:
    """What the index answers itself: a stop that takes too long, and clients that are refused."""
    stage.start(
        "[limits]\nbody_seconds = 60\n"
        '[[property]]\nportal_id = 1\nprop_id = 2\norigins = ["https://shop.example.com"]\nevents_per_second = 0.001\n'
    )
    target = "/event?portal_id=1&prop_id=2"
    body = b'{"ea":"view","ec":"product","sid":1,"aid":"a","uid":"u"}'
    refused = [stage.collector.send("POST", target, body, origin="https://evil.example.com").status for _ in range(2)]
    assert refused == [403, 403]
    assert [stage.collector.send("POST", target, body).status for _ in range(2)] == [200, 429]
    stage.sees("sender_refused", "rate_exceeded")
    stage.decides("`wrong origin or write key`")
    stage.decides("`over the rate of property`")
    assert stage.post(sid=-1) == {400}
    letters = stage.run("collector dead ls --since 1h", "the event failed validation sid exit code 0")
    stage.run("collector dead show ID", "exit code 0", ID=last_id(letters))
    stage.run("curl http://127.0.0.1:8081/readyz", '"status":"ready" … exit code 0')
    stage.run("collector health", "ready exit code 0")
    stage.run("collector sink ls", "files data/log/00 up")
    stage.run("collector audit", "balanced exit code 0")
    stage.collector.workers()[0].suspend()
    assert stage.collector.stop() == 0
    stage.sees("workers_killed")
    stage.decides("`server.grace_seconds … is over: killed …` at a stop")
    stage.collector.start()
    stage.ends()
