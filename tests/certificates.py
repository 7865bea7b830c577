"""Self-signed certificates by openssl, for servers on loopback."""

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.running import PATIENCE_SECONDS


class Pair(NamedTuple):
    """A certificate and its key, in PEM files."""

    certificate: Path
    key: Path

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts this certificate alone."""
        return ssl.create_default_context(cafile=str(self.certificate))


def make_pair(folder: Path, name: str = "tls", days: int = 365) -> Pair:
    """A certificate for localhost and 127.0.0.1, and its key."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(pair.key)]
    openssl("req", "-x509", *key, "-days", str(days), *subject, "-out", str(pair.certificate))
    return pair


def make_expired_pair(folder: Path) -> Pair:
    """A certificate of 2020, and its key."""
    pair = make_pair(folder, "expired")
    request, settings = folder / "request", folder / "ca.conf"
    openssl("req", "-new", "-key", str(pair.key), "-subj", "/CN=expired", "-out", str(request))
    settings.write_text(
        f"[ca]\ndefault_ca=a\n[a]\nnew_certs_dir={folder}\ndatabase={folder}/index\nserial={folder}/serial\n"
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    signed = ["-selfsign", "-keyfile", str(pair.key), "-in", str(request), "-out", str(pair.certificate)]
    dates = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]
    openssl("ca", "-batch", "-notext", "-config", str(settings), *signed, *dates)
    return pair


def openssl(*arguments: str) -> None:
    """Run openssl; it has to succeed."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=PATIENCE_SECONDS)
