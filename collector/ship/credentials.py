"""Finds the secrets in the settings of a sink, pure: no message and no line of the process log may show them."""

import re
from typing import Final

_SECRET_WORD: Final = re.compile(
    r"authorization|cookie|credentials?|jaas|jwt|key|pass(phrase|wd|word)|pem|pwd|sas|secret|signature|token"
)
_PUBLIC_END: Final = re.compile(r"(file|id|location|path|type)$")
"""`access_key_id` and `ssl.key.location` say where a secret is, or whose it is."""
_WORD: Final = re.compile(r"[a-z]+")
_PASSWORD: Final = re.compile(r"://[^/?#@]*:([^@]+)@")


def is_secret_name(name: str) -> bool:
    """Whether an option or a header holds a secret, judged by its name."""
    words = _WORD.findall(name.lower())
    return not _PUBLIC_END.search(name.lower()) and any(_SECRET_WORD.fullmatch(word) for word in words)


def secrets_of(name: str, setting: str, value: str) -> tuple[str, ...]:
    """The secret parts of an option or header: `setting` as the file has it, and the `value` that it stands for."""
    if value and (setting != value or is_secret_name(name)):
        return (value, *value.split()[1:])
    return tuple(_PASSWORD.findall(value))
