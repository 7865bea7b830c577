"""Once from the client's hand, over all workers of a node and through their deaths."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.running import PROGRAMS, Collector, Response, eventually, running

_SETTINGS = """
[server]
port = {port}
workers = {workers}
[dedup]
bytes = 16777216
[[property]]
portal_id = 33167
prop_id = 564990801
required = ["ea"]
dedup = "1h"
"""


def _post(collector: Collector, event_id: str) -> Response:
    return collector.post({"ea": "view", "event_id": event_id})


def _ids(collector: Collector) -> list[str]:
    return sorted(record["event_id"] for record in collector.stored())


def test_the_workers_of_a_node_know_each_others_ids_also_of_events_on_their_way_to_the_disk(tmp_path: Path) -> None:
    all_ids: list[str] = []
    logs: set[str] = set()
    with running(tmp_path, 2, _SETTINGS) as collector, ThreadPoolExecutor(16) as threads:
        for round_ in range(20):  # whichever worker gets to run accepts connections
            ids = [f"e-{round_}-{number}" for number in range(40)]
            found = list(threads.map(lambda event_id: _post(collector, event_id), ids * 8))
            assert {response.status for response in found} == {200}
            for event_id in ids:
                places = {response.headers["x-event-id"] for response in found[ids.index(event_id) :: len(ids)]}
                assert len(places) == 1
            assert sum("x-event-duplicate" in response.headers for response in found) == 7 * len(ids)
            all_ids += ids
            logs |= {response.headers["x-event-id"].partition("-")[0] for response in found}
            if len(logs) == 2:
                break
        assert len(logs) == 2, "both workers"
        assert _ids(collector) == sorted(all_ids)


def test_ids_outlive_the_kill_of_a_worker_of_the_node_and_a_stop(tmp_path: Path) -> None:
    ids = [f"e-{number}" for number in range(20)]
    with running(tmp_path, 2, _SETTINGS) as collector:
        first = {event_id: _post(collector, event_id).headers["x-event-id"] for event_id in ids}

        def assert_all_known() -> None:
            for event_id in ids:
                response = _post(collector, event_id)
                assert (response.status, response.headers["x-event-id"]) == (200, first[event_id])

        collector.workers()[0].kill()
        eventually(lambda: len(collector.workers()) == 2, "the worker has a successor")
        eventually(lambda: _post(collector, ids[0]).status == 200, "it serves")
        assert_all_known()
        collector.kill()
        collector.start()
        assert_all_known()
        assert collector.stop(signal.SIGTERM) == 0
        collector.start()
        assert_all_known()
        assert _ids(collector) == sorted(ids)


def test_an_index_that_is_lost_is_made_again_from_the_log(tmp_path: Path) -> None:
    with running(tmp_path, 2, _SETTINGS) as collector:
        first = _post(collector, "e-1").headers["x-event-id"]
        collector.stop()
        for path in sorted((tmp_path / "data/dedup").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        collector.start()
        assert "read 1 event ids from the logs" in collector.stderr
        assert _post(collector, "e-1").headers["x-event-id"] == first
        assert _ids(collector) == ["e-1"]


def test_a_reload_that_turns_dedup_on_knows_the_events_that_came_before(tmp_path: Path) -> None:
    with running(tmp_path, 2, _SETTINGS.replace('dedup = "1h"\n', "")) as collector:
        firsts = {_post(collector, "e-1").headers["x-event-id"] for _ in range(3)}
        assert len(firsts) == 3
        path = tmp_path / "collector.toml"
        path.write_text(path.read_text().replace('required = ["ea"]\n', 'required = ["ea"]\ndedup = "1h"\n'))
        subprocess.run([PROGRAMS / "collector", "reload", "--config", path], check=True, capture_output=True)
        for _ in range(4):
            assert _post(collector, "e-1").headers["x-event-id"] in firsts
        assert len(collector.stored()) == 3
