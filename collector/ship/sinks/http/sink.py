"""The HTTP sink: each batch is one POST with its token as `Idempotency-Key`.

Exactly once is then up to the receiver: it drops a request whose key it has seen, or tells through `resume_url` which
events it has.
"""

import asyncio
import ssl
import time
from io import BytesIO
from typing import Final

import aiohttp
from yarl import URL

from collector.errors import BatchRefused, SinkError
from collector.ship.batch import Batch
from collector.ship.mark import Mark, Resumption
from collector.ship.sinks.http.connector import Connector
from collector.ship.sinks.http.request import (
    batch_headers,
    check,
    filled_url,
    place,
    request_body,
    request_headers,
    secrets_in,
)
from collector.ship.sinks.http.response import ReceiverResponse, expected_next, reason, wait_seconds
from collector.ship.sinks.http.settings import HttpSinkSettings

_RESPONSE_BYTES: Final = 4096
_IDLE_SECONDS: Final = 2.0
"""A connection that was idle for longer is not reused: many servers close idle connections after 5 s."""
_ADVICE: Final = {
    401: "check the sink's headers",
    403: "check the sink's headers",
    404: "check the sink's URL",
    405: "check the sink's URL",
    415: "check the sink's `body` and `compression`",
}
_OTHER_ADVICE: Final = "see the receiver's log"


class HttpSink:
    """Posts each batch as one request."""

    def __init__(self, settings: HttpSinkSettings, consumer: str) -> None:
        """Raises BadSettings."""
        check(settings)
        self._settings = settings
        self._headers = request_headers(settings)
        self._secrets = secrets_in(settings, self._headers)
        # The receiver has the events of a replay: the next sequence that it expects would end the replay at once.
        self._resume_url = settings.resume_url if consumer == settings.name else None
        self._session: aiohttp.ClientSession | None = None

    async def open(self, log_id: str, sequence: int) -> Resumption:
        """Ask the receiver for the next sequence, if it has a `resume_url`. Raises SinkError."""
        self._session = aiohttp.ClientSession(
            connector=Connector(keepalive_timeout=_IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
        )
        if self._resume_url is None:
            return Resumption(sequence)
        mark = await self._expected(filled_url(self._resume_url, {"log_id": log_id}))
        return Resumption(max(sequence, mark.next), mark if mark.next else None)

    async def deliver(self, batch: Batch) -> None:
        """Post a batch. Raises SinkError, and BatchRefused for a status in `final_statuses`."""
        url = filled_url(
            self._settings.url,
            {"token": batch.token, "log_id": batch.log_id, "first": str(batch.first), "last": str(batch.last)},
        )
        body = await asyncio.to_thread(request_body, batch, self._settings)
        response = await self._request("POST", url, self._headers | batch_headers(batch), body)
        if response.is_good:
            return
        if response.status in self._settings.final_statuses:
            raise BatchRefused(f"{place(url)} answered {self._message(response)}")
        raise self._failed(url, response)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _expected(self, url: URL) -> Mark:
        headers = {name: value for name, value in self._headers.items() if not name.startswith("content-")}
        response = await self._request("GET", url, headers, None)
        if not response.is_good:
            raise self._failed(url, response)
        expected = expected_next(response.body)
        if expected is None:
            found = reason(response.body, self._secrets)
            raise SinkError(f"{place(url)}: expected the sequence to go on at, got {found!r}; check `resume_url`")
        return Mark(*expected, f"the answer of {place(url)}")

    async def _request(self, method: str, url: URL, headers: dict[str, str], body: bytes | None) -> ReceiverResponse:
        if self._session is None:
            raise SinkError(f"{place(url)}: not open; open comes first")
        data = None if body is None else BytesIO(body)  # aiohttp warns of plain bytes over 1 MiB
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                found = ReceiverResponse(response.status, response.headers, await _beginning(response))
        except (aiohttp.ClientError, OSError) as error:  # a time-out is an OSError
            raise SinkError(f"{place(url)}: {self._cause(error)}") from None
        if found.is_good and data and not data.closed and data.read(1):
            raise SinkError(f"{place(url)} answered {found.status} before it had the whole batch; {_OTHER_ADVICE}")
        return found

    def _cause(self, error: Exception) -> str:
        """The cause and the remedy. Leaves out an error's own text if it may hold a URL or a header."""
        match error:
            case TimeoutError():
                seconds = self._settings.timeout_seconds
                return f"no answer in {seconds:g} s; see what the receiver does, or raise `timeout_seconds`"
            case aiohttp.ClientConnectorCertificateError():
                return f"TLS: {_certificate(error.certificate_error)}; SSL_CERT_FILE names the authorities to trust"
            case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
                return "TLS: the handshake failed; check the scheme and port of the sink's URL"
            case aiohttp.ClientConnectorError():
                why = error.strerror or "no connection"
                return f"can't connect: {why}; check that the receiver runs, and the sink's URL"
            case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
                return "the answer is not HTTP, or was cut short; check the sink's URL"
            case _:
                return f"the connection broke before the answer; {_OTHER_ADVICE}"

    def _failed(self, url: URL, response: ReceiverResponse) -> SinkError:
        """The error for a response after which the batch is sent again."""
        if response.is_redirect:
            target = _target(url, response)
            message = f"{response.status}, a redirect{target}, which is not followed; set the sink's URL to it"
        else:
            message = f"{self._message(response)}; {_ADVICE.get(response.status, _OTHER_ADVICE)}"
        return SinkError(f"{place(url)} answered {message}", wait_seconds(response.headers, time.time()))

    def _message(self, response: ReceiverResponse) -> str:
        text = reason(response.body, self._secrets)
        return f"{response.status}: {text}" if text else str(response.status)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) < _RESPONSE_BYTES and (piece := await response.content.read(_RESPONSE_BYTES - len(body))):
        body += piece
    return body


def _target(url: URL, response: ReceiverResponse) -> str:
    try:
        return f" to {place(url.join(URL(response.headers['Location'])))}"
    except (KeyError, ValueError):
        return ""


def _certificate(error: Exception) -> str:
    return getattr(error, "verify_message", "") or "the certificate is not accepted"
