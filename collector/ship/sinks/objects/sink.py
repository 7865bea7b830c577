"""The objects sink: each batch as objects in a bucket or a folder, `<partition>/<log_id>-<first>-<last>.<format>`.

An object is created by a conditional put, so that a batch that is sent again, or whose first response was lost, is
stored once. Every open tests whether the store honours the condition: some accept it and overwrite.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final, cast
from urllib.parse import quote

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import from_url

from collector.errors import BadSettings, SinkError
from collector.settings.environment import read_value
from collector.ship.batch import Batch
from collector.ship.credentials import secrets_of
from collector.ship.mark import Resumption
from collector.ship.sinks.objects.settings import ObjectsSinkSettings
from collector.ship.stores.archive import FOLDER, Archive, Store
from collector.ship.stores.folder import Folder
from collector.ship.stores.stored_files import StoredFiles

_URL: Final = re.compile(r"(?:s3|gs|az)://[^/?#@]+(?:/[^/?#]+)*/?|file://(?:/[^/?#]+)+/?")
_CLIENT: Final = re.compile(
    r"(?:aws_|google_|azure_)?(allow_http|allow_invalid_certificates|connect_timeout|default_content_type|http1_only|"
    r"http2_keep_alive_interval|http2_keep_alive_timeout|http2_keep_alive_while_idle|http2_max_frame_size|http2_only|"
    r"pool_idle_timeout|pool_max_idle_per_host|proxy_ca_certificate|proxy_excludes|proxy_url|randomize_addresses|"
    r"read_timeout|root_certificate|timeout|user_agent)",
    re.IGNORECASE,
)
"""Options of the HTTP client: obstore takes them separately, and panics if it finds them among the store's."""
_DEFAULTS: Final = {"connect_timeout": "5s", "timeout": "60s"}
_PROBE: Final = f"{FOLDER}/probe"
_ADVICE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (FileNotFoundError, "no such bucket; create it or correct the sink's url"),
    (PermissionDeniedError, "not allowed; check the credentials in the sink's options, and their rights"),
    (UnauthenticatedError, "not allowed; check the credentials in the sink's options"),
)
_NO_RESPONSE: Final = "no answer; check the endpoint in the sink's options, and the network"
_LONGEST: Final = 300
_SHUTDOWN_GRACE_SECONDS: Final = 0.05


class ObjectsSink:
    """Puts each batch as an object for each folder of the partition."""

    def __init__(self, settings: ObjectsSinkSettings, consumer: str) -> None:
        """Raises BadSettings."""
        _check_partition(settings)
        self._partition = settings.partition
        self._store = _store(settings)
        self._archive = Archive(self._store, settings, consumer)

    async def open(self, log_id: str, sequence: int) -> Resumption:
        """Test that the store is there and overwrites nothing, and look up its mark. Raises SinkError."""
        await self._store.open()
        return await self._archive.open(log_id, sequence)

    async def deliver(self, batch: Batch) -> None:
        """Put the objects of a batch. Raises SinkError."""
        await self._archive.deliver(batch, self._partition)

    async def close(self) -> None:
        """Wait a moment; pooled connections end by themselves.

        The thread of the last call may still hold the interpreter's lock: it aborted 9 of 60 processes that ended at
        once, and none that waited this long.
        """
        await asyncio.sleep(_SHUTDOWN_GRACE_SECONDS)


def objects_holdings(settings: ObjectsSinkSettings, consumer: str) -> StoredFiles:
    """The objects of a sink. Raises BadSettings."""
    return StoredFiles(_store(settings), settings, consumer)


class _Bucket(Store):
    """A store that is reached over HTTP. It does not retry: the shipper does."""

    def __init__(self, settings: ObjectsSinkSettings) -> None:
        self.where = settings.url.rstrip("/")
        self._secrets = _secrets(settings)
        self._values = sorted(_read_environment(settings).values(), key=len, reverse=True)
        client, config = _options(settings)
        with self._checked(f"sink {settings.name}: options"):
            self._store = from_url(
                settings.url,
                config=cast(Any, config),
                client_options=cast(Any, client),
                retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
            )

    async def open(self) -> None:
        """Put one object twice; the second put must be refused. Raises SinkError."""
        for _ in range(2):
            if not await self.create(
                _PROBE, b"Tracklog puts this twice, to see the second put refused.\n", "text/plain"
            ):
                return
        raise SinkError(
            f"{self.where}/{_PROBE}: the store took a conditional put (if-none-match: *) of an object that was there; "
            "without the condition events could be there twice: use a store, or a version of it, that honours it"
        )

    async def create(self, name: str, content: bytes, content_type: str) -> bool:
        with self._reported(name):
            try:
                attributes = {"Content-Type": content_type}
                await obstore.put_async(self._store, name, content, mode="create", attributes=cast(Any, attributes))
            except AlreadyExistsError:
                return False
            await self._check(name, content)
            return True

    async def replace(self, name: str, content: bytes) -> None:
        with self._reported(name):
            await obstore.put_async(self._store, name, content, use_multipart=False)
            await self._check(name, content)

    async def _check(self, name: str, content: bytes) -> None:
        """Raise SinkError unless the store has what it has just confirmed.

        It may be something else that answers: obstore follows a redirect with a GET, and takes any 200 as a success.
        """
        try:
            size = (await obstore.head_async(self._store, name))["size"]
        except FileNotFoundError:
            size = 0
        if size != len(content):
            raise SinkError(
                f"{self.where}/{name}: the store confirmed {len(content)} bytes and has {size}; "
                "check the sink's URL, and what stands between"
            )

    async def read(self, name: str) -> bytes | None:
        with self._reported(name):
            try:
                found = await obstore.get_async(self._store, name)
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None

    async def names(self) -> list[str]:
        with self._reported(""):
            return [str(meta["path"]) async for chunk in obstore.list(self._store) for meta in chunk]

    @contextlib.contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            advice = next((f"{text}: " for kind, text in _ADVICE if isinstance(error, kind)), "")
            if "HTTP error" in str(error):
                advice = f"{_NO_RESPONSE}: "
            # Not as its cause: the full text of obstore's error may hold a secret.
            raise SinkError(f"{self.where}/{name}: {advice}{self._message(error)}") from None

    @contextlib.contextmanager
    def _checked(self, where: str) -> Iterator[None]:
        try:
            yield
        except UnknownConfigurationKeyError as error:
            name = str(error).partition("'")[2].partition("'")[0]
            raise BadSettings(
                f"{where}.{name}: expected a setting of obstore's store, found none of that name"
            ) from None
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            # a password may stand at the wrong option
            raise BadSettings(f"{where}: {_without(self._values, self._message(error))}") from None

    def _message(self, error: Exception) -> str:
        """An error of obstore in one line, without secrets."""
        text, _, details = str(error).partition("\n\nDebug source:")
        if response := re.search(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", text, re.DOTALL):
            text = f"{response[1]}: {response[2]}"
        elif cause := re.search(r'message: "(.*?)"', details) or re.search(r"kind: (Timeout)", details):
            text = f"{text}: {cause[1]}"
        text = _without(self._secrets, text)
        return " ".join(re.sub(r"\?\S*", "?***", text).split())[:_LONGEST]


def _without(values: Iterable[str], text: str) -> str:
    """A text without these values, of which the longest come first."""
    for value in filter(None, values):
        text = text.replace(value, "***")
    return text


def _store(settings: ObjectsSinkSettings) -> "_Bucket | Folder":
    """A bucket, or a folder of ours: obstore's links a file into place before its bytes are durable."""
    if not _URL.fullmatch(settings.url):
        raise BadSettings(
            f"sink {settings.name}: url: expected s3://bucket/prefix, gs://…, az://… or file:///folder, with neither "
            "a user nor a query; credentials belong into the sink's options"
        )
    if settings.folder is None:
        return _Bucket(settings)
    for name in settings.options:
        raise BadSettings(f"sink {settings.name}: options.{name}: expected none for a folder")
    return Folder(settings.folder)


def _check_partition(settings: ObjectsSinkSettings) -> None:
    folders = settings.partition.split("/") if settings.partition else []
    if any(folder in ("", ".", "..") for folder in folders) or folders[:1] == [FOLDER]:
        raise BadSettings(
            f"sink {settings.name}: partition: expected folders as `date={{date}}/hour={{hour}}`, "
            f"found {settings.partition!r}"
        )


def _options(settings: ObjectsSinkSettings) -> tuple[dict[str, str], dict[str, str]]:
    """The options of the HTTP client, and those of the store."""
    client, config = dict(_DEFAULTS), dict[str, str]()
    for name, value in _read_environment(settings).items():
        if option := _CLIENT.fullmatch(name):
            client[option[1].lower()] = value
        else:
            config[name] = value
    if any(value.startswith("http://") for name, value in config.items() if name.endswith("endpoint")):
        client.setdefault("allow_http", "true")
    return client, config


def _read_environment(settings: ObjectsSinkSettings) -> dict[str, str]:
    where = f"sink {settings.name}: options"
    return {name: read_value(f"{where}.{name}", value) for name, value in settings.options.items()}


def _secrets(settings: ObjectsSinkSettings) -> list[str]:
    """The secrets in the options, also as URLs and quoted texts show them; the longest first."""
    read = _read_environment(settings)
    secrets = [secret for name, value in read.items() for secret in secrets_of(name, settings.options[name], value)]
    quoted = [secret.replace("\\", "\\\\").replace('"', '\\"') for secret in secrets]
    return sorted({*secrets, *quoted, *(quote(secret, safe="") for secret in secrets)}, key=len, reverse=True)
