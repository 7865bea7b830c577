"""Object stores as destinations: moto in this process, SeaweedFS as a server of its own, and a folder."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from moto.server import ThreadedMotoServer

from bench.processes import end, free_port
from tests.destinations.files import Files, lines_in
from tests.running import PROGRAMS, eventually

KEY_ID = "tracklog"
KEY = "tracklog-test-secret"
BUCKET = "events"
_NUMBERS = count(1)
_SEAWEED_PORTS = ("master", "volume", "filer", "s3")


class Server(Protocol):
    """A server that speaks S3 on `port` of 127.0.0.1."""

    port: int

    def down(self) -> None:
        """Kill it. What it has stays."""

    def up(self) -> None:
        """Start it again, on the same port."""

    def close(self) -> None:
        """Stop it for good."""


class Moto:
    """moto's server, in a thread. What it has is in the memory of this process, also while it is down."""

    def __init__(self, _: Path) -> None:
        self.port = free_port()
        self.up()

    def down(self) -> None:
        self._server.stop()

    def up(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()
        eventually(lambda: _has_bucket(self.port), "moto answers")

    def close(self) -> None:
        self.down()


class SeaweedFS:
    """`weed server -s3` as a process, with its data below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "seaweedfs"
        self._folder.mkdir()
        self._ports = {name: free_port() for name in (*_SEAWEED_PORTS, *(f"{name}.grpc" for name in _SEAWEED_PORTS))}
        self.port = self._ports["s3"]
        actions = ["Admin", "Read", "Write", "List"]
        identity = {"name": "test", "credentials": [{"accessKey": KEY_ID, "secretKey": KEY}], "actions": actions}
        (self._folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        try:
            self.up()
        except BaseException:
            self.close()
            raise

    def down(self) -> None:
        end(self._process)

    def up(self) -> None:
        with (self._folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(PROGRAMS / "weed"), "-logtostderr=true", "server", *self._arguments()],
                cwd=self._folder,
                stderr=log,
                stdout=log,
                start_new_session=True,
            )
        eventually(self._responds, "SeaweedFS answers")

    def close(self) -> None:
        self.down()
        for port in self._ports.values():
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket.unlink(missing_ok=True)

    def _arguments(self) -> Iterator[str]:
        yield from (f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false")
        yield from (
            "-master.electionTimeout=1s",
            "-filer",
            "-s3",
            f"-s3.config={self._folder / 's3.json'}",
            "-s3.autoCreateBucket=false",
        )
        yield from ("-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=20", "-master.volumeSizeLimitMB=64")
        for name, port in self._ports.items():
            server, _, kind = name.partition(".")
            yield f"-{server}.port{'.' * bool(kind)}{kind}={port}"

    def _responds(self) -> bool:
        assert self._process.poll() is None, (self._folder / "weed.log").read_text()[-2000:]
        return _has_bucket(self.port)


class Bucket:
    """A prefix of its own in the server's bucket, which a sink reaches on the server's port or another."""

    poison: bytes | None = None
    knows_chain = True

    def __init__(self, server: Server, kind: str = "ndjson", port: int | None = None) -> None:
        self.server = server
        self._prefix = f"number/{next(_NUMBERS)}/"
        self._kind = kind
        self._port = port or server.port

    @property
    def options(self) -> dict[str, str]:
        """The sink's options."""
        endpoint = f"http://127.0.0.1:{self._port}"
        return {"endpoint": endpoint, "access_key_id": KEY_ID, "secret_access_key": KEY, "timeout": "10s"}

    @property
    def url(self) -> str:
        """The sink's url."""
        return f"s3://{BUCKET}/{self._prefix}".rstrip("/")

    def toml(self) -> str:
        options = ", ".join(f'{name} = "{value}"' for name, value in self.options.items())
        return (
            f'[[sink]]\ntype = "objects"\nurl = "{self.url}"\nformat = "{self._kind}"\noptions = {{{options}}}\n'
            "flush_seconds = 0.05\nflush_bytes = 65536\n"
        )

    def arrived(self) -> list[bytes]:
        return lines_in(self.contents())

    def contents(self) -> dict[str, bytes]:
        """Every object, by its name below the url's."""
        with client(self.server.port) as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=self._prefix)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys]
        return {key.removeprefix(self._prefix): body for key, body in zip(keys, bodies, strict=True)}

    def put(self, name: str, content: bytes) -> None:
        """Put an object as anybody may."""
        with client(self.server.port) as s3:
            s3.put_object(Bucket=BUCKET, Key=self._prefix + name, Body=content)

    def delete(self, name: str) -> None:
        """Delete an object as anybody may."""
        with client(self.server.port) as s3:
            s3.delete_object(Bucket=BUCKET, Key=self._prefix + name)

    def down(self) -> None:
        self.server.down()

    def up(self) -> None:
        self.server.up()

    def close(self) -> None:
        self.server.close()


class ObjectsFolder(Files):
    """A folder of the objects sink."""

    def toml(self) -> str:
        return (
            f'[[sink]]\ntype = "objects"\nurl = "file://{self.folder}"\nformat = "{self._kind}"\n'
            "flush_seconds = 0.05\nflush_bytes = 65536\n"
        )


@contextlib.contextmanager
def client(port: int) -> Iterator[Any]:
    """A client that is none of ours."""
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=KEY,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
    )
    try:
        yield s3
    finally:
        s3.close()


def _has_bucket(port: int) -> bool:
    """Whether the server takes objects; makes the bucket if need be."""
    with contextlib.suppress(BotoCoreError, ClientError), client(port) as s3:
        with contextlib.suppress(s3.exceptions.BucketAlreadyExists, s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="is-it-up", Body=b"1")
        return True
    return False
