"""The reasons for which a worker is not ready, with what to do for each."""

from typing import Final

from collector.ops.readiness import EXPLANATIONS, NotReady
from tools.docs.markdown import sentence, table

ADVICE: Final = {
    NotReady.POISONED: "Wait for the new worker. If it comes again, look into `dmesg`: the disk fails.",
    NotReady.DRAINING: "Nothing: somebody stops it.",
    NotReady.LOG_NOT_OPEN: "Look for `log_delayed` in the process log.",
    NotReady.STALLED: "Look at the latency of the disk, and into `dmesg`.",
    NotReady.DISK_FULL: "[Make room](TracklogDiskFull.md).",
    NotReady.HUNG: "Look at the worker by `top -p PID`; if it stays so, kill it with SIGKILL: another one starts.",
    NotReady.COMMIT_REFUSED: "Raise `ulimit -n`; if it is high enough, look into `dmesg`.",
}
"""By reason. A test compares the keys with the reasons of the code."""


def parts() -> dict[str, str]:
    """A table of all reasons."""
    rows = [
        (f'<span id="reason-{reason}">`{reason}`</span>', sentence(EXPLANATIONS[reason]), ADVICE[reason])
        for reason in NotReady
    ]
    return {"readiness.reasons": table(("reason", "meaning", "do"), rows)}
