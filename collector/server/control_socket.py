"""The socket by which `collector reload` reaches the supervisor: a UNIX socket in the folder of the log.

    client connects   ->   {"settings":"/etc/tracklog/collector.toml"}
    client sends "\\n"  ->   {"lines":["worker 1 of 2 is replaced"],"is_accepted":true,"is_last":false}
                           {"lines":["sink archive: added"],"is_accepted":true,"is_last":true}

Only the user that runs the collector, and root, can connect. Of several collectors on one folder, which each write
their own shards, one has the socket: the next takes it when that one has ended.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from msgspec import Struct

from collector.process_log.of_processes import ControlSocketFailed
from collector.server.node_state import Reload
from wal.tools.terminal import harmless

_NAME: Final = "control.sock"
_BACKLOG: Final = 8
_RETRY_SECONDS: Final = 5.0
"""Until a socket that could not be taken is tried again: a collector that still ends has it for some seconds."""
_GONE: Final = (errno.ENOENT, errno.ECONNREFUSED, errno.EACCES)
"""Of a connection to a socket that does not exist, whose collector was killed, or that another user left here."""

ReloadFunction = Callable[[Callable[[str], None]], Coroutine[None, None, Reload]]
_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class Greeting(Struct, frozen=True):
    """The first line that a client gets. It may leave then, and nothing is reloaded."""

    settings: str
    """The absolute path of the settings file. Characters that a terminal obeys, or that are not UTF-8, are escaped."""


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
async def serving_control(
    log_dir: str, config: str, reload: ReloadFunction, retry_seconds: float = _RETRY_SECONDS
) -> AsyncIterator[None]:
    """Serve `reload` to each client. `config` is the absolute path of the settings file.

    A socket that can't be taken is tried again every `retry_seconds`. Without the socket, SIGHUP still reloads.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):  # the caller may not wait any more
            _write(writer, Greeting(harmless(config)))
            if await reader.read(1):
                done = await reload(lambda text: _write(writer, ReloadResponse((text,))))
                _write(writer, ReloadResponse(done.lines, is_accepted=done.is_accepted, is_last=True))
                await writer.drain()

    async with contextlib.AsyncExitStack() as stack:
        try:
            await _serve_on(control_path(log_dir), serve, stack)
        except OSError as error:
            ControlSocketFailed(control_path(log_dir), str(error.strerror or error)).write()
            retrying = asyncio.create_task(_serve_later_on(control_path(log_dir), serve, stack, retry_seconds))
            await stack.enter_async_context(_cancelled_at_the_end(retrying))
        yield


async def _serve_on(path: str, serve: _Serve, stack: contextlib.AsyncExitStack) -> None:
    """Serve clients until the stack is closed. Raises OSError if the socket can't be taken."""
    listener = stack.enter_context(_listening(path))
    server = await asyncio.start_unix_server(serve, sock=listener)
    stack.callback(server.close)


async def _serve_later_on(path: str, serve: _Serve, stack: contextlib.AsyncExitStack, retry_seconds: float) -> None:
    while True:
        await asyncio.sleep(retry_seconds)
        with contextlib.suppress(OSError):
            return await _serve_on(path, serve, stack)


@asynccontextmanager
async def _cancelled_at_the_end(task: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _write(writer: asyncio.StreamWriter, message: Struct) -> None:
    writer.write(msgspec.json.encode(message) + b"\n")


@contextlib.contextmanager
def _listening(path: str) -> Iterator[socket.socket]:
    os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
    _refuse_if_served(path)
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


def _refuse_if_served(path: str) -> None:
    """Raise OSError if a live collector has the socket, or if that can't be told."""
    with socket.socket(socket.AF_UNIX) as probe, _short(path) as short:
        probe.setblocking(False)
        code = probe.connect_ex(short)
    if code in (0, errno.EAGAIN):  # EAGAIN: its backlog is full
        raise OSError(errno.EADDRINUSE, "another collector serves it, and this one takes it when that has ended")
    if code not in _GONE:
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """Another path of the same socket: addresses of sockets have at most 107 bytes."""
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
