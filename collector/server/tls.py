"""The server's certificate: loaded and checked as a whole, replaced while connections last, and watched for its end.

A certificate is checked by a handshake in memory, in which a client trusts this certificate alone. So the check covers
what OpenSSL will use, and no certificate needs to be parsed here.
"""

import asyncio
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from collector.errors import BadSettings
from collector.process_log.of_processes import CertificateExpires
from collector.settings import ServerSettings
from collector.settings.faults import SettingFault
from collector.settings.regular_file import expect_regular_file

_WARNING_SECONDS: Final = 14 * 86_400
_DAY_SECONDS: Final = 86_400
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which `ssl.VerifyFlags` lacks: an expired certificate tells its dates too."""


class Certificate(NamedTuple):
    """A certificate with its key, ready to serve. Times are Unix seconds."""

    context: ssl.SSLContext
    not_before: float
    not_after: float


class CertificateFault(BadSettings):
    """A certificate or key can't be served: the setting at fault, `tls_certificate` or `tls_key`, and the reason."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"server.{setting}: {reason}")
        self.fault = SettingFault(f"server.{setting}", reason)


class Tls:
    """The certificate that a worker serves. `context` holds for new handshakes; older connections go on with theirs."""

    def __init__(self, settings: ServerSettings) -> None:
        """Raises CertificateFault, but not for an expired one: a worker that starts again serves what the others do."""
        self._certificate = _of(settings)

    def context(self) -> ssl.SSLContext:
        """The context for a new handshake."""
        return self._certificate.context

    @property
    def end(self) -> float:
        """Unix seconds at which the certificate expires that is served."""
        return self._certificate.not_after

    def reload(self, settings: ServerSettings) -> None:
        """Read certificate and key again, perhaps from other files. Raises CertificateFault; nothing changes then."""
        self._certificate = _valid(settings)

    async def warn_daily(self, day_seconds: float = _DAY_SECONDS) -> None:
        """Warn once a day if the certificate that is served expires soon. The start warns by itself."""
        while True:
            await asyncio.sleep(day_seconds)
            if warning := expiry_warning(self._certificate, time.time()):
                CertificateExpires(warning).write()


def certificate_faults(settings: ServerSettings) -> Iterator[SettingFault]:
    """Yield the reason why certificate and key can't be served, if there is one."""
    try:
        if settings.tls_certificate and settings.tls_key:
            _valid(settings)
    except CertificateFault as error:
        yield error.fault


def certificate_warning(settings: ServerSettings) -> str | None:
    """A warning if the certificate in the files expires soon. Raises CertificateFault."""
    return expiry_warning(_of(settings), time.time()) if settings.tls_certificate else None


def expiry_warning(certificate: Certificate, now: float) -> str | None:
    """A warning if the certificate expires within 14 days of `now`, in Unix seconds."""
    left = certificate.not_after - now
    if left > _WARNING_SECONDS:
        return None
    days = f"in {left / _DAY_SECONDS:.0f} days, " if left > 0 else ""
    return (
        f"server.tls_certificate {'expires' if days else 'has expired'} {days}at {_date(certificate.not_after)}: "
        "clients refuse it then; renew it, and reload or restart"
    )


def load_certificate(certificate: str, key: str) -> Certificate:
    """Load a certificate, the intermediate ones in its file, and its key. Raises CertificateFault.

    The dates are not checked: `check_dates` does.
    """
    for setting, path in (("tls_certificate", certificate), ("tls_key", key)):
        _readable(setting, path)
    client = _client_that_trusts(certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # costs the server far more than the client
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, certificate, key)
    return _shown_to(client, context, certificate)


def check_dates(certificate: Certificate, now: float) -> None:
    """Raise CertificateFault if the certificate is not valid at `now`, in Unix seconds."""
    if now >= certificate.not_after:
        raise CertificateFault("tls_certificate", f"expired at {_date(certificate.not_after)}; renew it")
    if now < certificate.not_before:
        reason = f"is not valid before {_date(certificate.not_before)}; check the clock of this machine"
        raise CertificateFault("tls_certificate", reason)


def _of(settings: ServerSettings) -> Certificate:
    return load_certificate(settings.tls_certificate or "", settings.tls_key or "")


def _valid(settings: ServerSettings) -> Certificate:
    certificate = _of(settings)
    check_dates(certificate, time.time())
    return certificate


def _readable(setting: str, path: str) -> None:
    try:
        expect_regular_file(path)
        with open(path, "rb"):
            pass
    except OSError as error:
        raise CertificateFault(setting, f"{path}: {error.strerror}") from None


def _client_that_trusts(certificate: str) -> ssl.SSLContext:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    try:
        client.load_verify_locations(cafile=certificate)
    except OSError:
        reason = f"{certificate}: expected a certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
        raise CertificateFault("tls_certificate", reason) from None
    return client


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    def refuse() -> str:
        raise CertificateFault("tls_key", f"{key} is encrypted; decrypt it: openssl pkey -in {key} -out FILE")

    try:
        context.load_cert_chain(certificate, key, password=refuse)
    except ssl.SSLError as error:
        raise _refused(error.reason or "", certificate, key) from None
    except OSError as error:  # a file was removed meanwhile
        raise CertificateFault("tls_certificate", f"{certificate}: {error.strerror}") from None


def _refused(reason: str, certificate: str, key: str) -> CertificateFault:
    """The fault that OpenSSL's reason stands for."""
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        return CertificateFault("tls_certificate", f"{certificate} has too weak a key or digest: {reason}")
    if "MISMATCH" in reason or reason == "NO_CERTIFICATE_ASSIGNED":  # the key is of another kind
        text = f"{key} is not the key of the first certificate in {certificate}; put the server's own first"
    else:
        text = f"{key}: expected a private key in PEM, which begins with -----BEGIN PRIVATE KEY-----"
    return CertificateFault("tls_key", text)


def _shown_to(client: ssl.SSLContext, server: ssl.SSLContext, path: str) -> Certificate:
    """Shake hands in memory; returns the dates that the client sees."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server)
    try:
        while not (_has_shaken(theirs) & _has_shaken(ours)):
            pass
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", None) or error.reason
        raise CertificateFault("tls_certificate", f"{path}: clients refuse it: {reason}") from None
    shown: dict[str, Any] = theirs.getpeercert() or {}
    times = (float(ssl.cert_time_to_seconds(shown[name])) for name in ("notBefore", "notAfter"))
    return Certificate(server, *times)


def _has_shaken(side: ssl.SSLObject) -> bool:
    """Go on with a handshake; returns whether it is over for this side."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%MZ")
