"""Clients that send what is refused."""

import json
from itertools import count
from typing import Final

from tests.docs.rehearsals.stage import EVENT, Stage, last_id
from tests.running import eventually

_ENTRIES: Final = 1000
"""The least that `dedup.entries` may be."""
_UNKNOWN: Final = 150
"""More than 100 in the window of the alert."""


def dead_letters_rise(stage: Stage) -> None:
    """A client that leaves out a field, until the rule is changed; and more letters than are kept."""
    stage.start("[dead_letters]\nbytes_per_hour = 8192\n")
    short = {name: value for name, value in EVENT.items() if name != "uid"}
    assert stage.post(9) == {200}
    stage.fires(lambda: stage.collector.post(short))
    letters = stage.run("collector dead ls --since 1h", "the event failed validation uid exit code 0")
    stage.decides("`the event failed validation`, one field, since a release")
    stage.run("collector dead show ID", '"ea" … exit code 0', ID=last_id(letters))
    stage.keep_evidence()
    stage.change("prop_id = 564990801\n", 'prop_id = 564990801\nrequired = ["ea", "ec"]\n')
    stage.reload()
    stage.redrive()
    assert stage.collector.post(short).status == 200
    for _ in range(20):
        assert stage.post(sid="x" * 1000) == {400}
    stage.sees("dead_letters_over_share")
    stage.run("collector dead ls --since 5m", "exit code 0")
    stage.ends()


def ids_forgotten(stage: Stage) -> None:
    """More ids than the index may hold, until it may hold more."""
    ids = map(str, count())

    def send() -> None:
        calls = [{"type": "track", "event": "Seen", "messageId": next(ids)} for _ in range(_ENTRIES)]
        body = json.dumps({"writeKey": "33167.564990801", "batch": calls})
        assert stage.collector.send("POST", "/v1/batch", body.encode()).status == 200

    stage.start(dedup=f"entries = {_ENTRIES}\n")
    stage.fires(send)
    stage.run("curl -sS http://127.0.0.1:8081/metrics | grep dedup", f"tracklog_dedup_entries {_ENTRIES}")
    stage.decides("`tracklog_dedup_entries` is at `dedup.entries`")
    stage.keep_evidence()
    stage.change(f"entries = {_ENTRIES}\n", f"entries = {1000 * _ENTRIES}\n")
    stage.run("collector reload", "dedup.entries: … exit code 0")
    send()
    stage.ends()


def unknown_property(stage: Stage) -> None:
    """A property that nobody added."""
    stage.start()
    target = "/event?portal_id=33167&prop_id=9"
    for _ in range(_UNKNOWN):
        assert stage.collector.send("POST", target, b"{}").status == 404
    stage.fires(lambda: stage.collector.send("POST", target, b"{}"))
    stage.sees("unknown_property")
    stage.decides("the process log names a property that should exist")
    assert "33167/9" in stage.collector.stderr
    stage.keep_evidence()
    stage.change("[[sink]]\n", "[[property]]\nportal_id = 33167\nprop_id = 9\nrequired = []\n[[sink]]\n")
    stage.reload()
    eventually(lambda: stage.collector.send("POST", target, b"{}").status == 200, "the property is there")
    stage.ends()
