"""The key of session tokens, visitor ids and redirect signatures: from the environment, or generated once."""

import contextlib
import os
import secrets
from hashlib import blake2b
from typing import Final

from collector.errors import BadSettings
from collector.settings.environment import read_key
from collector.settings.tables import Settings
from wal.errors import PASSING, cause_of
from wal.files import Files, make_directories, named

_FILE_NAME: Final = "session.secret"
_SHORTEST: Final = 16
_ADVICE: Final = "delete it to have a new one made, by which all visitors count as new, or restore it from a backup"


def load_secret(settings: Settings) -> bytes:
    """Load or generate the key: 64 bytes. Raises BadSettings, OSError; no message shows any part of the secret."""
    if settings.session.secret is None:
        key = os.fsencode(_generated(secret_path(settings)))
    else:
        key = read_key("session.secret", settings.session.secret)
    return blake2b(key).digest()


def secret_path(settings: Settings) -> str:
    """The file of the generated secret, next to the folder of the log."""
    return os.path.join(os.path.dirname(os.path.normpath(settings.log.dir)), _FILE_NAME)


def _generated(path: str) -> str:
    """The secret in a file of mode 0600. The first process creates it whole; `link` never overwrites."""
    if not os.path.exists(path):
        make_directories(os.path.dirname(path))
        _make(path)
    try:
        with open(path, encoding="ascii") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise BadSettings(f"{path}: expected ASCII text; {_ADVICE}") from None
    except OSError as error:
        if error.errno in PASSING:
            raise
        raise BadSettings(f"{path}: {cause_of(error)}; expected a file that this user can read") from None
    if len(text) < _SHORTEST:
        raise BadSettings(f"{path}: expected at least {_SHORTEST} characters; {_ADVICE}")
    return text


def _make(path: str) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with named(temporary), os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    Files().sync_directory(os.path.dirname(path))  # after a power cut it must be the same
