"""The output of a command, pure: progress, result and exit code are lines of JSON, everything else is text."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from wal.tools.terminal import harmless

_LONGEST_MESSAGE: Final = 500


class JobOutput(Struct):
    """The last of each kind of line; None where there was none."""

    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    exit: int | None = None
    message: str = ""
    """The last line of text."""


_decode: Final = msgspec.json.Decoder(JobOutput).decode


def read_output(output: bytes) -> JobOutput:
    """The lines of an output, of which the beginning may be missing and the last may not be whole yet."""
    found = JobOutput()
    for line in output.splitlines():
        if line.startswith(b"{"):
            _add(found, line)
        elif line.strip():
            found.message = harmless(line.decode(errors="replace"))[:_LONGEST_MESSAGE]
    return found


def _add(found: JobOutput, line: bytes) -> None:
    try:
        read = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    found.progress = read.progress or found.progress
    found.result = read.result or found.result
    found.exit = found.exit if read.exit is None else read.exit


def done_of(output: JobOutput) -> int:
    """How much is done: letters that a redrive has looked at, or events of a replay."""
    report = output.result or output.progress or {}
    found = report.get("letters", report.get("events", 0))
    return found if isinstance(found, int) else 0


def summary_of(output: JobOutput) -> str:
    """The result in a sentence; the last line of text if there is none."""
    result = output.result
    if result is None:
        return output.message
    refused = sum(result["refused"].values()) if "letters" in result else len(result["refused"])
    if "letters" in result:
        before = result["earlier_events"]
        return f"{result['events']} events redriven, {before} redriven before, {refused} are still refused"
    sent = result["events"] - result["skipped"] - refused
    return f"{sent} events sent, {result['skipped']} by an earlier run, {refused} refused by the sink"
