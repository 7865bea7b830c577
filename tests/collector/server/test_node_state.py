"""The state of a node: what becomes of the reports of its workers."""

from collector.server.node_metrics import samples_of
from collector.server.node_state import Node, NodeState, Reload, WorkerReport


def test_a_node_is_ready_while_one_of_its_workers_is_and_it_does_not_stop() -> None:
    states: list[NodeState] = []
    node = Node(2, 1000, states.append)
    node.started(1, 17, 1000)
    node.reported(1, WorkerReport("00", "disk_full"))
    node.reported(1, WorkerReport("00", None))
    node.stop()
    assert [state.is_ready for state in states] == [False, False, False, True, False]
    assert [state.reason for state in states] == ["starting", "starting", "starting", None, "draining"]
    assert [worker.reason for worker in states[-1].workers] == ["starting", None]


def test_a_place_counts_its_restarts_and_remembers_the_last_death() -> None:
    states: list[NodeState] = []
    node = Node(1, 1000, states.append)
    for pid, cause in ((17, "worker 17 died: SIGKILL"), (18, "worker 18 died: SIGSEGV")):
        node.started(0, pid, 1000)
        node.reported(0, WorkerReport("00", None))
        node.died(0, cause)
        (worker,) = states[-1].workers
        assert (worker.state, worker.pid, worker.reason) == ("waiting", None, "waiting")
    node.started(0, 19, 2000)
    (worker,) = states[-1].workers
    assert (worker.state, worker.reason, worker.started_ms) == ("starting", "starting", 2000)
    assert (worker.restarts, worker.last_death) == (2, "worker 18 died: SIGSEGV")


def test_metrics_tell_of_the_last_reload_and_of_each_certificate_that_a_worker_serves() -> None:
    states: list[NodeState] = []
    node = Node(2, 1000, states.append)
    node.started(1, 17, 1000)
    node.reported(1, WorkerReport("00", None, 0, certificate_end=2e9))
    expected = {
        ("tracklog_last_reload_accepted",): 1,
        ("tracklog_ready", "0"): 0,
        ("tracklog_ready", "1"): 1,
        ("tracklog_certificate_expiration_timestamp_seconds", "1"): 2e9,
    }
    assert samples_of(states[-1]) == expected
    node.reloaded(Reload(is_accepted=False, lines=("no",), unix_ms=1))
    assert samples_of(states[-1]) == expected | {("tracklog_last_reload_accepted",): 0}
    node.died(1, "SIGKILL")
    assert len(samples_of(states[-1])) == 3, "the next worker may serve another certificate"
