"""The socket by which `collector reload` reaches the supervisor: a UNIX socket in the folder of the log.

    client connects   ->   {"lines":["worker 1 of 2 is replaced"],"is_accepted":true,"is_last":false}
                           {"lines":["sink archive: added"],"is_accepted":true,"is_last":true}

Only the user that runs the collector, and root, can connect.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from msgspec import Struct

from collector.process_log.of_processes import ControlSocketFailed
from collector.server.node_state import Reload

_NAME: Final = "control.sock"
_BACKLOG: Final = 8

ReloadFunction = Callable[[Callable[[str], None]], Coroutine[None, None, Reload]]


class ReloadResponse(Struct, frozen=True):
    """A line of the response to a reload: its progress, and last the changes, or why it was refused."""

    lines: tuple[str, ...]
    is_accepted: bool = True
    is_last: bool = False


def control_path(log_dir: str) -> str:
    """The path of the socket of the collector that writes the logs in a folder."""
    return os.path.join(log_dir, _NAME)


def connect(log_dir: str) -> socket.socket:
    """A connection to the collector that runs on this folder. Raises OSError if none does."""
    control = socket.socket(socket.AF_UNIX)
    try:
        with _short(control_path(log_dir)) as path:
            control.connect(path)
    except OSError:
        control.close()
        raise
    return control


@asynccontextmanager
async def serving_control(log_dir: str, reload: ReloadFunction) -> AsyncIterator[None]:
    """Serve `reload` to each client. Without the socket, SIGHUP still reloads."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):  # the caller may not wait any more
            done = await reload(lambda text: _write(writer, ReloadResponse((text,))))
            _write(writer, ReloadResponse(done.lines, is_accepted=done.is_accepted, is_last=True))
            await writer.drain()

    async with contextlib.AsyncExitStack() as stack:
        try:
            listener = stack.enter_context(_listening(control_path(log_dir)))
        except OSError as error:
            ControlSocketFailed(control_path(log_dir), str(error.strerror or error)).write()
        else:
            server = await asyncio.start_unix_server(serve, sock=listener)
            stack.callback(server.close)
        yield


def _write(writer: asyncio.StreamWriter, message: ReloadResponse) -> None:
    writer.write(msgspec.json.encode(message) + b"\n")


@contextlib.contextmanager
def _listening(path: str) -> Iterator[socket.socket]:
    os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a collector that was killed
        with _short(path) as short:
            mask = os.umask(0o177)
            try:
                listener.bind(short)
            finally:
                os.umask(mask)
        listener.listen(_BACKLOG)
        own = os.stat(path).st_ino
        try:
            yield listener
        finally:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == own:  # else a collector that has started since made another
                    os.unlink(path)


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """Another path of the same socket: addresses of sockets have at most 107 bytes."""
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
