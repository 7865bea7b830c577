"""The server's certificate: faults before a start, a reload that changes all or nothing, and warnings of its end."""

import asyncio
import os
import shutil
import ssl
import time
from pathlib import Path

import pytest

from collector.server.tls import (
    Certificate,
    CertificateFault,
    Tls,
    certificate_faults,
    check_dates,
    expiry_warning,
    load_certificate,
)
from collector.settings import ServerSettings
from tests.certificates import Pair, make_expired_pair, make_pair, openssl

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed; .ci/run installs it")
_DAY = 86_400.0


def _settings(pair: Pair) -> ServerSettings:
    return ServerSettings(tls_certificate=str(pair.certificate), tls_key=str(pair.key))


def _fault(certificate: Path, key: Path) -> str:
    """The one fault of the pair, without the folder."""
    (fault,) = certificate_faults(_settings(Pair(certificate, key)))
    return f"{fault.path}: {fault.message}".replace(f"{certificate.parent}/", "")


def test_a_sound_pair_has_no_fault_and_needs_tls_1_2(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    assert list(certificate_faults(_settings(pair))) == []
    assert list(certificate_faults(ServerSettings())) == []
    context = load_certificate(str(pair.certificate), str(pair.key)).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_each_fault_names_its_setting_its_file_and_the_remedy(tmp_path: Path) -> None:
    pair, other = make_pair(tmp_path), make_pair(tmp_path, "other")
    (junk := tmp_path / "junk").write_text("junk")
    openssl("pkey", "-in", str(pair.key), "-aes256", "-passout", "pass:x", "-out", str(tmp_path / "encrypted"))
    missing = tmp_path / "missing"
    assert _fault(missing, pair.key) == "server.tls_certificate: missing: No such file or directory"
    assert _fault(pair.certificate, missing) == "server.tls_key: missing: No such file or directory"
    assert _fault(tmp_path / "..", pair.key).endswith(": expected a file, found a folder")
    assert _fault(junk, pair.key).startswith("server.tls_certificate: junk: expected a certificate in PEM")
    assert _fault(pair.key, pair.key).startswith("server.tls_certificate: tls.key: expected a certificate in PEM")
    assert _fault(pair.certificate, junk).startswith("server.tls_key: junk: expected a private key in PEM")
    assert _fault(pair.certificate, other.key) == (
        "server.tls_key: other.key is not the key of the first certificate in tls.pem; put the server's own first"
    )
    assert _fault(pair.certificate, tmp_path / "encrypted") == (
        "server.tls_key: encrypted is encrypted; decrypt it: openssl pkey -in encrypted -out FILE"
    )


def test_a_key_of_another_kind_is_not_the_certificates(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(tmp_path / "ed25519"))
    assert "is not the key of the first certificate" in _fault(pair.certificate, tmp_path / "ed25519")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_key_that_may_not_be_read_is_a_fault(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    pair.key.chmod(0)
    assert _fault(*pair) == "server.tls_key: tls.key: Permission denied"


def test_a_certificate_is_refused_before_and_after_its_time() -> None:
    certificate = Certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), not_before=_DAY, not_after=2 * _DAY)
    check_dates(certificate, _DAY)
    with pytest.raises(CertificateFault, match=r"^server\.tls_certificate: expired at 1970-01-03T00:00Z; renew it$"):
        check_dates(certificate, 2 * _DAY)
    with pytest.raises(CertificateFault, match="is not valid before 1970-01-02T00:00Z; check the clock"):
        check_dates(certificate, _DAY - 1)


def test_a_certificate_that_has_expired_is_a_fault_at_a_start_but_a_worker_can_start_again(tmp_path: Path) -> None:
    pair = make_expired_pair(tmp_path)
    assert _fault(*pair) == "server.tls_certificate: expired at 2020-02-01T00:00Z; renew it"
    Tls(_settings(pair))


def test_the_dates_of_a_certificate_are_read(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, days=30)
    loaded = load_certificate(str(pair.certificate), str(pair.key))
    assert loaded.not_after - loaded.not_before == 30 * _DAY
    assert abs(loaded.not_before - time.time()) < _DAY


def test_a_warning_comes_two_weeks_before_the_end() -> None:
    certificate = Certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), not_before=0, not_after=100 * _DAY)
    assert expiry_warning(certificate, 85 * _DAY) is None
    assert (expiry_warning(certificate, 97 * _DAY) or "").startswith(
        "server.tls_certificate expires in 3 days, at 1970-04-11T00:00Z: "
    )
    assert (expiry_warning(certificate, 101 * _DAY) or "").startswith("server.tls_certificate has expired at ")


def test_a_certificate_that_expires_soon_is_warned_of_every_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = Tls(_settings(make_pair(tmp_path, days=10)))

    async def two_days() -> None:
        warning = asyncio.create_task(tls.warn_daily(day_seconds=0))
        while len(caplog.messages) < 2:
            await asyncio.sleep(0)
        warning.cancel()

    asyncio.run(two_days())
    assert caplog.messages[0].startswith("server.tls_certificate expires in 10 days, at ")


def test_a_reload_changes_all_or_nothing(tmp_path: Path) -> None:
    first, second = make_pair(tmp_path), make_pair(tmp_path, "second")
    tls = Tls(_settings(first))
    context = tls.context()
    with pytest.raises(CertificateFault):
        tls.reload(_settings(Pair(second.certificate, first.key)))
    with pytest.raises(CertificateFault):
        tls.reload(_settings(make_expired_pair(tmp_path)))
    assert tls.context() is context
    tls.reload(_settings(second))
    assert tls.context() is not context
