"""Members of records that the console must not show, by `admin.redact`, pure.

A path begins at the record or at its event: `uid` hides `event.uid`, too. It goes through arrays, so that
`event.items.email` hides the address of each item. What can't be parsed is hidden whole. All other values stay as
they are, byte by byte.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from collector.errors import UNDECODABLE

HIDDEN: Final = "▒▒▒▒"
_HIDDEN_JSON: Final = msgspec.Raw(msgspec.json.encode(HIDDEN))
_EVENT: Final = "event"
_RAW: Final = "raw"
"""The member of a dead letter that holds the refused bytes: JSON, or a string of another encoding."""
_DIALECT: Final = "dialect"
_SINK: Final = "sink"
_REASON: Final = "reason"
_NONE: Final = msgspec.Raw(b'""')
_MOST_LEVELS: Final = 8
"""Arrays in arrays. What is nested deeper is hidden whole: each level costs another pass."""
_SPACE: Final = b" \t\r\n"

_Tree = Mapping[str, "_Tree"]
"""The members on the way of a path, by name. An empty one is the end of a path: the member is hidden."""
_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Redaction:
    """Hides the members at some paths."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths: Final = tuple(paths)
        split = [tuple(path.split(".")) for path in self.paths]
        of_event = [path[1:] if path[0] == _EVENT else path for path in split]
        event = {_EVENT: _tree(of_event)}
        self._record = _tree(split) | event
        self._content = {} if () in of_event else _tree([*split, *of_event]) | event

    def hides(self, member: str) -> bool:
        """Whether a filter by this member of a record or of its event would give away a hidden value."""
        return bool(self.paths) and _is_hidden(self._content, tuple(member.split(".")))

    def record(self, line: bytes) -> bytes:
        """A line of the log without the hidden values."""
        return _without(line, self._record) if self.paths else line

    def dead_letter(self, line: bytes) -> bytes:
        """A line of the log of dead letters, likewise; `raw` as `content` has it, but for JSON alone.

        The reason of a sink is hidden, since it may quote the event.
        """
        if not self.paths:
            return line
        raw = {} if _has(line, _DIALECT) else self._content
        reason: dict[str, _Tree] = {_REASON: {}} if _has(line, _SINK) else {}
        return _without(line, self._record | {_RAW: raw} | reason)

    def content(self, raw: bytes, dialect: str = "") -> bytes:
        """The bytes of a refused request, which may be an event, an array of events, or a record, likewise.

        Hidden whole are a query, a form, and the bytes of a `dialect`, whose members have other names.
        """
        return _without(raw, {} if dialect else self._content) if self.paths else raw


def _has(line: bytes, member: str) -> bool:
    """Whether a dead letter has a member that is not an empty string, or none that can be told."""
    try:
        return _decode_object(line).get(member, _NONE) != _NONE
    except UNDECODABLE:
        return True


def _tree(paths: Sequence[tuple[str, ...]]) -> dict[str, _Tree]:
    """Paths as a tree. Where one path ends, longer ones add nothing."""
    if () in paths:
        return {}
    tree: dict[str, _Tree] = {}
    for name in dict.fromkeys(path[0] for path in paths):
        tree[name] = _tree([path[1:] for path in paths if path[0] == name])
    return tree


def _is_hidden(tree: _Tree, path: tuple[str, ...]) -> bool:
    """Whether a path ends at, above or below the end of a hidden one."""
    for name in path:
        if name not in tree:
            return False
        tree = tree[name]
        if not tree:
            return True
    return True


def _without(json: bytes, tree: _Tree) -> bytes:
    try:
        _decode_any(json)
        return bytes(_redacted(msgspec.Raw(json), tree, 0))
    except UNDECODABLE:
        return bytes(_HIDDEN_JSON)


def _redacted(value: msgspec.Raw, tree: _Tree, level: int) -> msgspec.Raw:
    """A value without what the tree hides below it. A string is hidden: it may be JSON that holds the member."""
    first = bytes(value).lstrip(_SPACE)[:1]
    if not tree or first == b'"' or level > _MOST_LEVELS:
        return _HIDDEN_JSON
    if first == b"{":
        members = _decode_object(value)
        for name in members.keys() & tree.keys():
            members[name] = _redacted(members[name], tree[name], 0)
        return msgspec.Raw(msgspec.json.encode(members))
    if first == b"[":
        return msgspec.Raw(
            msgspec.json.encode([_redacted(element, tree, level + 1) for element in _decode_array(value)])
        )
    return value
