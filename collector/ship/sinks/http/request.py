"""The requests of the HTTP sink, and the checks of its settings. Touches no network."""

import gzip
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import zstandard
from yarl import URL

from collector.errors import BadSettings, BatchRefused
from collector.settings.environment import read_value, variable_of
from collector.settings.templates import filled, names_in
from collector.ship.batch import Batch
from collector.ship.credentials import masked_path, secrets_of
from collector.ship.formats.cloudevents import BATCH_TYPE, batch_of
from collector.ship.sinks.http.settings import HttpSinkSettings

_ZSTD_LEVEL: Final = 1
_GZIP_LEVEL: Final = 6
_CONTENT_TYPES: Final = {"ndjson": "application/x-ndjson", "array": "application/json", "cloudevents": BATCH_TYPE}
CHAIN_HEADER: Final = "x-log-chain"
"""The CRC of the header of the block with the last event of a request; a receiver may return it at `resume_url`."""
_OUR_HEADERS: Final = (
    "idempotency-key",
    CHAIN_HEADER,
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "host",
)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ERRORS: Final = range(400, 600)


def check(settings: HttpSinkSettings) -> None:
    """Raise BadSettings for settings that no request can have. The message shows no URL: it may hold a password."""
    for setting, template in (("url", settings.url), ("resume_url", settings.resume_url)):
        if template is not None and not _is_http(template):
            raise BadSettings(f"{setting} of sink {settings.name}: expected http://… or https://… with a host")
    for status in settings.final_statuses:
        if status not in _ERRORS:
            raise BadSettings(f"final_statuses of sink {settings.name}: expected 400 to 599, found {status}")
    if URL(settings.url).user is not None and "authorization" in [name.lower() for name in settings.headers]:
        raise BadSettings(f"headers of sink {settings.name}: expected no authorization beside the user in its url")


def request_headers(settings: HttpSinkSettings) -> dict[str, str]:
    """The headers of a batch, with those of the settings in place of ours. Raises BadSettings."""
    headers = {"user-agent": "tracklog", "accept-encoding": "identity", "content-type": _CONTENT_TYPES[settings.body]}
    if settings.compression != "none":
        headers["content-encoding"] = settings.compression
    for name, setting in settings.headers.items():
        headers[name.lower()] = _value(f"headers.{name} of sink {settings.name}", name, setting)
    return headers


def batch_headers(batch: Batch) -> dict[str, str]:
    """The headers that differ from batch to batch."""
    return {"idempotency-key": batch.token} | ({CHAIN_HEADER: batch.chain} if batch.chain else {})


def secrets_in(settings: HttpSinkSettings, headers: Mapping[str, str]) -> dict[str, str]:
    """Each secret and the text to show in its place: whole values, and the part after a word such as `Bearer`."""
    secrets: dict[str, str] = {}
    for name, setting in settings.headers.items():
        instead = setting if variable_of(setting) else f"({name})"
        secrets |= dict.fromkeys(secrets_of(name, setting, headers[name.lower()]), instead)
    for url in (settings.url, settings.resume_url):
        if url and (password := URL(url).password):
            secrets |= dict.fromkeys((password, URL(url).raw_password or password), "(password)")
    return secrets


def request_body(batch: Batch, settings: HttpSinkSettings) -> bytes:
    """The bytes of a batch: always the same for the same batch, so they hold no time.

    Raises BatchRefused if a line is not a record, and so can't become a CloudEvent.
    """
    body = _cloudevents(batch) if settings.body == "cloudevents" else batch.payload
    if settings.body == "array":
        body = b"[%b]" % body[:-1].replace(b"\n", b",")
    if settings.compression == "zstd":
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    if settings.compression == "gzip":
        return gzip.compress(body, _GZIP_LEVEL, mtime=0)
    return body


def filled_url(template: str, values: Mapping[str, str]) -> URL:
    """The URL with its values percent-encoded. Raises KeyError, and ValueError if the result is not a URL."""
    return URL(filled(template, {name: quote(value, safe="") for name, value in values.items()}))


def place(url: URL) -> str:
    """A URL without user, password, query, fragment and parts of its path that may be secret."""
    return f"{url.origin()}{masked_path(url.raw_path)}"


def _cloudevents(batch: Batch) -> bytes:
    try:
        return batch_of(batch.events())
    except ValueError as error:
        raise BatchRefused(str(error)) from None


def _is_http(template: str) -> bool:
    try:
        url = filled_url(template, dict.fromkeys(names_in(template), "0"))
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _value(where: str, name: str, setting: str) -> str:
    if name.lower() in _OUR_HEADERS:
        raise BadSettings(f"{where}: the sink sets this header itself; expected another")
    if not _HEADER_NAME.fullmatch(name):
        raise BadSettings(f"{where}: expected a header's name, as `authorization`")
    value = read_value(where, setting)
    if variable_of(setting):
        value = value.strip()  # a file that a variable was set from often ends in a line break
    if not (value.isascii() and value.isprintable()):
        raise BadSettings(f"{where}: expected printable ASCII")
    return value
