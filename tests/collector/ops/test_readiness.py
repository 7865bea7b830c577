"""When a worker is ready, and which reason is given if it is not."""

import pytest

from collector.ops.readiness import EXPLANATIONS, Facts, NotReady, reason_not_ready


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Facts(), None),
        (Facts(is_open=False), "log_not_open"),
        (Facts(is_draining=True), "draining"),
        (Facts(is_poisoned=True), "poisoned"),
        (Facts(is_stalled=True), "stalled"),
        (Facts(is_full=True), "disk_full"),
        (Facts(is_refusing=True), "commit_refused"),
        (Facts(is_stalled=True, is_full=True), "stalled"),
        (Facts(is_draining=True, is_full=True, is_open=False), "draining"),
        (Facts(is_draining=True, is_poisoned=True), "poisoned"),
    ],
)
def test_a_worker_is_ready_unless_it_could_not_acknowledge_an_event(facts: Facts, reason: str | None) -> None:
    assert reason_not_ready(facts) == reason


def test_every_reason_is_explained() -> None:
    assert set(EXPLANATIONS) == set(NotReady)
