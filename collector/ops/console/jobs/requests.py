"""The bodies of the previews, and the commands that they stand for, pure."""

from collections.abc import Callable, Iterator
from typing import Annotated

from msgspec import Meta, Struct, field

from collector.ops.console.api.parameters import LATEST_MS
from collector.ops.console.api.refusals import refused
from collector.ship.replay import NAME_PATTERN
from wal.tools.select import parse_condition

_Time = Annotated[int, Meta(ge=0, le=LATEST_MS)]
_Text = Annotated[str, Meta(max_length=200)]


class RedriveSelection(Struct, frozen=True, forbid_unknown_fields=True):
    """Dead letters, as the view of dead letters shows them. `since` is Unix ms; None selects all."""

    reason: _Text | None = None
    property: Annotated[str, Meta(pattern=r"\A[0-9]{1,19}/[0-9]{1,19}\Z")] | None = None
    since: _Time | None = None
    ids: (
        Annotated[tuple[Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}-[0-9]{1,16}\Z")], ...], Meta(max_length=1000)]
        | None
    ) = None


class RedriveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a preview of a redrive."""

    selection: RedriveSelection


class ReplayRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a preview of a replay. Times are Unix ms; without `to` it ends now."""

    sink: _Text
    start: _Time = field(name="from")
    to: _Time | None = None
    where: Annotated[tuple[_Text, ...], Meta(max_length=20)] = ()
    name: Annotated[str, Meta(pattern=NAME_PATTERN)] = ""
    dead_letters: bool = False


class JobRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that starts a job."""

    plan: Annotated[str, Meta(max_length=64)]


def redrive_arguments(selection: RedriveSelection) -> Iterator[str]:
    """Yield the arguments that select these dead letters."""
    if selection.reason is not None:
        yield f"--reason={selection.reason}"
    if selection.property is not None:
        portal_id, _, prop_id = selection.property.partition("/")
        yield from (f"--where=portal_id={portal_id}", f"--where=prop_id={prop_id}")
    if selection.since is not None:
        yield f"--since={_unix_ms(selection.since)}"
    yield from (f"--id={letter_id}" for letter_id in selection.ids or ())


def replay_arguments(replay: ReplayRequest, until: int) -> Iterator[str]:
    """Yield the arguments of a replay that ends at `until`, in Unix ms."""
    yield from (f"--sink={replay.sink}", f"--from={_unix_ms(replay.start)}", f"--to={_unix_ms(until)}")
    yield from (f"--where={condition}" for condition in replay.where)
    if replay.name:
        yield f"--name={replay.name}"
    if replay.dead_letters:
        yield "--dead-letters"


def conditions(replay: ReplayRequest, hides: Callable[[str], bool]) -> tuple[tuple[str, str], ...]:
    """The conditions of a replay as paths and values.

    Raises Rejected, also for a condition on what `hides`: the number of events would give the value away.
    """
    try:
        found = tuple(map(parse_condition, replay.where))
    except ValueError as error:
        raise refused("bad_body", f"where: {error}") from None
    if hidden := [path for path, _ in found if hides(path)]:
        raise refused(
            "redacted", f"{hidden[0]} is hidden by admin.redact; a condition on it would give its values away"
        )
    return found


def _unix_ms(unix_ms: int) -> str:
    """A time as commands take it: 13 digits."""
    return f"{unix_ms:013d}"
