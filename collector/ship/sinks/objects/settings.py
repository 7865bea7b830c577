"""The settings of an objects sink."""

from typing import Annotated, Final
from urllib.parse import unquote

from msgspec import Meta, field

from collector.settings.fields import Text
from collector.settings.sinks import FlushBytes, FlushSeconds, SinkName
from collector.settings.templates import may_hold
from collector.ship.stores.archive import ArchiveSettings

_FILE_URL: Final = "file://"


class ObjectsSinkSettings(ArchiveSettings, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="objects"):
    """Events as objects in S3, Google Cloud Storage, Azure Blob Storage or a folder."""

    url: Annotated[Text, Meta(description="`s3://bucket/prefix`, `gs://…`, `az://…` or `file:///folder`")]
    partition: Annotated[
        Text,
        Meta(
            description="folders below it; may hold `{source}`, `{date}`, `{hour}`",
            extra=may_hold("source", "date", "hour"),
        ),
    ] = "source={source}/date={date}/hour={hour}"
    options: Annotated[
        dict[str, str],
        Meta(description="obstore's settings of the store: `endpoint`, `region`, …; `env:NAME` reads the environment"),
    ] = field(default_factory=dict)
    name: SinkName = "objects"
    flush_bytes: FlushBytes = 16 << 20
    flush_seconds: FlushSeconds = 30.0

    @property
    def folder(self) -> str | None:
        """The local folder that `url` names, None for a bucket."""
        if not (self.url or "").startswith(_FILE_URL):
            return None
        return unquote(self.url.removeprefix(_FILE_URL))

    def folders(self) -> dict[str, str]:
        """The folder of a `file://` URL."""
        return {"url": self.folder} if self.folder else {}

    def places(self) -> dict[str, str]:
        """The folder, or the part of a bucket."""
        return {"url": self.folder or self.url}

    def environment(self) -> dict[str, dict[str, str]]:
        """Credentials stand in `options`."""
        return {"options": self.options}
