"""Which pages, events and commands of the runbook are rehearsed, and why the others are not."""

from collections.abc import Callable
from typing import Final, NamedTuple

from tests.docs.rehearsals import of_disks, of_processes, of_requests, of_settings, of_sinks
from tests.docs.rehearsals.stage import Stage


class Rehearsal(NamedTuple):
    """What is done on the stage, and the events of the process log that are seen."""

    act: Callable[[Stage], None]
    events: tuple[str, ...] = ()


REHEARSALS: Final = {
    "TracklogCertificateExpires": Rehearsal(of_settings.certificate_expires, ("certificate_expires", "worker_failed")),
    "TracklogCommitSlow": Rehearsal(of_disks.commit_slow),
    "TracklogCrashLoop": Rehearsal(of_processes.crash_loop),
    "TracklogDamageFound": Rehearsal(of_sinks.damage_found, ("damage_found",)),
    "TracklogDeadLettersRise": Rehearsal(of_requests.dead_letters_rise, ("dead_letters_over_share",)),
    "TracklogDiskFills": Rehearsal(of_disks.disk_fills),
    "TracklogDiskFull": Rehearsal(of_disks.disk_full, ("disk_low", "segments_given_up", "dead_letter_lost")),
    "TracklogIdsForgotten": Rehearsal(of_requests.ids_forgotten),
    "TracklogNotReady": Rehearsal(of_disks.not_ready, ("log_delayed", "log_available", "supervisor_died")),
    "TracklogReloadRefused": Rehearsal(of_settings.reload_refused, ("reload_refused",)),
    "TracklogScrapeFails": Rehearsal(of_processes.scrape_fails, ("admin_died",)),
    "TracklogShedding": Rehearsal(of_disks.shedding, ("shedding_began", "click_lost", "shedding_ended")),
    "TracklogSinkDown": Rehearsal(of_sinks.sink_down, ("sink_retrying", "sink_down")),
    "TracklogSinkLagging": Rehearsal(of_sinks.sink_lagging, ("sinks_behind", "sink_elsewhere")),
    "TracklogSinkStopped": Rehearsal(of_sinks.sink_stopped, ("cursor_damaged", "sink_stopped")),
    "TracklogUnknownProperty": Rehearsal(of_requests.unknown_property, ("unknown_property",)),
    "TracklogWorkerRestarts": Rehearsal(of_processes.worker_restarts, ("worker_died", "worker_died_stopping")),
    "after-damage": Rehearsal(of_sinks.missing_segment, ("start_failed",)),
    "index": Rehearsal(of_processes.stop, ("sender_refused", "rate_exceeded", "workers_killed")),
}
"""By the page's name."""
NOT_REHEARSED: Final = {
    "TracklogBug": "nobody knows a bug to bring about; tests of each part raise an error there",
    "TracklogHistoryInMemory": "root may write everywhere; tests/collector/ops/console/test_watch.py makes each cause",
    "TracklogIdsIncomplete": "it needs a log that can't be read; tests/collector/dedup/test_catch_up.py makes it",
    "it-does-not-start": "tests/docs/test_running.py runs its block; tests of settings and starts make each cause",
}
"""Pages, each with the reason."""
NOT_SEEN: Final = {
    "certificate_kept": "the files must change between the supervisor's look and the worker's",
    "close_failed": "the disk must refuse the one commit of a stop",
    "connection_bug": "a bug",
    "control_socket_failed": "it needs a second collector on the folder; SIGHUP reloads that one",
    "counts_left_out": "it needs a thousand unknown properties, and a minute",
    "dead_letters_unreadable": "somebody must write into the log of dead letters",
    "drop_failed": "the disk must refuse to delete a file",
    "eviction_failed": "the disk must refuse a call that it never refuses",
    "events_gone": "a sink must lose what it had, and the log must have dropped it",
    "history_in_memory": "root may write everywhere; tests/collector/ops/console/test_watch.py makes each cause",
    "host_refused": "it needs a scraper that goes by a name; tests/collector/ops/console/access/test_access.py is one",
    "ids_incomplete": "it needs damage that a start meets while it reads the ids of events again",
    "library": "a line of a library",
    "log_in_refused": "it is about people; tests/collector/ops/console/access/test_access.py brings it about",
    "reload_bug": "a bug",
    "relay_failed": "it needs two nodes, and a full disk at the second one",
    "relay_stopped": "it needs two nodes; tests/crash/test_relay.py stops a log",
    "replay_gap": "it comes from a replay over damage, which is no alert",
    "replay_retrying": "it comes from a replay, whose operator sees it",
    "request_bug": "a bug",
    "response_bug": "a bug",
    "shard_copied": "it needs a copied log; tests/collector/shards/test_copies.py makes one",
    "shard_released": "it needs a shard that no worker holds, and a sink that is down",
    "shard_stuck": "it needs a damaged shard that no worker holds",
    "shard_unlocked": "the disk must refuse to open a file",
    "shard_unreadable": "it needs a damaged shard that no worker holds",
    "shards_unlisted": "the disk must refuse to list a folder",
    "shedding_goes_on": "it comes after a minute",
    "shipper_bug": "a bug",
    "sink_behind": "a sink must lose what it had; tests/collector/ship/test_marks.py has one",
    "sink_bug": "a bug",
    "sink_state_unsaved": "the disk must refuse a file of fixed length that is there already",
    "sink_waiting": "it comes after 10 s without an answer",
    "start_warning": "each rehearsal that runs as root has one",
    "swap_late": "it comes after 30 s; a worker must hang as long",
    "token_refused": "it needs a scraper with a wrong token; tests/collector/ops/console/access/test_access.py is one",
    "torn_write_cut": "there is nothing to do; tests/crash/test_life_cycle.py makes it",
    "uncaught": "a bug",
    "worker_bug": "a bug",
    "worker_not_started": "the machine must refuse a process; tests/collector/server/test_supervisor.py makes it",
}
"""Events of level WARNING and above, each with the reason why no rehearsal brings it about."""
NOT_RUN: Final = {
    "dmesg": "it has the messages of the machine's kernel, which a test may not see",
    "iostat -x 5": "it runs until it is stopped, and is no part of Debian's base",
}
"""Commands, each with the reason."""
