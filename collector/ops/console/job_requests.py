"""The bodies of the previews, and the commands that they stand for, pure."""

from collections.abc import Callable, Iterator
from typing import Annotated

from msgspec import Meta, Struct, field

from collector.ops.console.parameters import LATEST_MS
from collector.ops.console.refusals import refused
from wal.tools.select import parse_condition

_Time = Annotated[int, Meta(ge=0, le=LATEST_MS)]
_Text = Annotated[str, Meta(max_length=200)]


class LettersWanted(Struct, frozen=True, forbid_unknown_fields=True):
    """Dead letters, as the view of dead letters shows them. `since` is Unix ms; what is None does not matter."""

    reason: _Text | None = None
    property: Annotated[str, Meta(pattern=r"\A[0-9]{1,19}/[0-9]{1,19}\Z")] | None = None
    since: _Time | None = None
    ids: (
        Annotated[tuple[Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}-[0-9]{1,16}\Z")], ...], Meta(max_length=1000)]
        | None
    ) = None


class RedriveWanted(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a preview of a redrive."""

    selection: LettersWanted


class ReplayWanted(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a preview of a replay. Times are Unix ms; without `to` it ends now."""

    sink: _Text
    start: _Time = field(name="from")
    to: _Time | None = None
    where: Annotated[tuple[_Text, ...], Meta(max_length=20)] = ()
    name: Annotated[str, Meta(pattern=r"\A[a-z0-9_-]{0,64}\Z")] = ""
    dead_letters: bool = False


class JobWanted(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that starts a job."""

    plan: Annotated[str, Meta(max_length=64)]


def redrive_arguments(wanted: LettersWanted) -> Iterator[str]:
    """Yield the arguments that select these dead letters."""
    if wanted.reason is not None:
        yield f"--reason={wanted.reason}"
    if wanted.property is not None:
        portal_id, _, prop_id = wanted.property.partition("/")
        yield from (f"--where=portal_id={portal_id}", f"--where=prop_id={prop_id}")
    if wanted.since is not None:
        yield f"--since={_unix_ms(wanted.since)}"
    yield from (f"--id={each}" for each in wanted.ids or ())


def replay_arguments(wanted: ReplayWanted, until: int) -> Iterator[str]:
    """Yield the arguments of a replay that ends at `until`, in Unix ms."""
    yield from (f"--sink={wanted.sink}", f"--from={_unix_ms(wanted.start)}", f"--to={_unix_ms(until)}")
    yield from (f"--where={each}" for each in wanted.where)
    if wanted.name:
        yield f"--name={wanted.name}"
    if wanted.dead_letters:
        yield "--dead-letters"


def conditions(wanted: ReplayWanted, hides: Callable[[str], bool]) -> tuple[tuple[str, str], ...]:
    """The conditions of a replay as paths and values.

    Raises Rejected, also for a condition on what `hides`: the number of events would give the value away.
    """
    try:
        found = tuple(map(parse_condition, wanted.where))
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
