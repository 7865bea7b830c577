"""Finds the secrets in the settings of a sink, pure: no message and no line of the process log may show them."""

import re
from itertools import pairwise
from typing import Final

_SECRET_WORD: Final = re.compile(
    r"authorization|cookie|credentials?|jaas|jwt|key|pass(phrase|wd|word)|pem|pwd|sas|secret|signature|token"
)
_PUBLIC_END: Final = re.compile(r"(file|id|location|path|type)$")
"""`access_key_id` and `ssl.key.location` say where a secret is, or whose it is."""
_WORD: Final = re.compile(r"[a-z]+")
MASK: Final = "***"
_RANDOM: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])(?![A-Za-z._-]+[0-9]{1,4}$)[^{}]{6,}|[A-Za-z0-9]{24,}")
"""A part of a path that looks like a key. `v2`, `events` and `events-2026` do not."""
_PASSWORD: Final = re.compile(r"://[^/?#@]*:([^@]+)@")


def is_secret_name(name: str) -> bool:
    """Whether an option or a header holds a secret, judged by its name."""
    words = _WORD.findall(name.lower())
    return not _PUBLIC_END.search(name.lower()) and any(_SECRET_WORD.fullmatch(word) for word in words)


def masked_path(path: str) -> str:
    """The path of a URL with `***` for each part that may be a key: it looks random, or follows a name such as `token`.

    Slack, Zapier and others put a key there. A short one of letters alone is not found.
    """
    parts = path.split("/")
    return "/".join(MASK if part and _may_be_key(before, part) else part for before, part in pairwise(["", *parts]))


def _may_be_key(before: str, part: str) -> bool:
    return bool(_RANDOM.fullmatch(part)) or is_secret_name(before)


def secrets_of(name: str, setting: str, value: str) -> tuple[str, ...]:
    """The secret parts of an option or header: `setting` as the file has it, and the `value` that it stands for."""
    if value and (setting != value or is_secret_name(name)):
        return (value, *value.split()[1:])
    return tuple(_PASSWORD.findall(value))
