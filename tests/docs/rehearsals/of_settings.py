"""Settings that are refused, and a certificate that expires."""

from typing import Final

from tests.certificates import make_pair
from tests.docs.rehearsals.stage import Stage
from tests.running import eventually

_FAULTS: Final = "worker = 1\nhealth_path = 1\n"
_TLS: Final = 'tls_certificate = "tls.pem"\ntls_key = "tls.key"'


def reload_refused(stage: Stage) -> None:
    """A port that can't change, then a name that is wrong."""
    stage.start()
    port = f"port = {stage.collector.port}\n"
    stage.change(port, "port = 1\n")
    stage.run("collector reload", f"server.port: {stage.collector.port} -> 1: this needs a restart exit code 1")
    stage.decides("`this needs a restart`")
    stage.change("port = 1\n", port + _FAULTS)
    stage.run("collector reload", "server.worker: no such setting … exit code 1")
    stage.fires()
    stage.sees("reload_refused")
    stage.run("collector check", "server.worker: no such setting; did you mean `workers`? … expected … exit code 1")
    stage.decides("`expected …` or `no such setting`")
    stage.keep_evidence()
    assert stage.post() == {200}
    stage.change(_FAULTS, "")
    stage.run("collector reload", "exit code 0")
    stage.run("collector check --show", "33167 … exit code 0")
    eventually(lambda: stage.status()["last_reload"]["is_accepted"] is True, "the status has it")
    stage.ends()


def certificate_expires(stage: Stage) -> None:
    """A certificate that nobody has renewed, and a key that is away when a worker starts."""
    pair = make_pair(stage.folder, days=10)
    stage.start(server=_TLS, is_quiet=False)
    stage.collector.tls = pair.trusting()
    stage.fires()
    stage.sees("certificate_expires")
    address = {"HOST": "127.0.0.1", "PORT": str(stage.collector.port)}
    served = "openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -enddate"
    stored = "openssl x509 -noout -enddate -in FILE"
    old = _end(stage.run(stored, "notAfter=", FILE="tls.pem"))
    assert _end(stage.run(served, "notAfter=", **address)) == old
    stage.decides("the file on the disk is old")
    stage.keep_evidence()
    renewed = make_pair(stage.folder, days=300)
    new = _end(stage.run(stored, "notAfter=", FILE="tls.pem"))
    assert _end(stage.run(served, "notAfter=", **address)) == old != new
    stage.decides("the file on the disk is new")
    stage.run("collector reload", "server.tls_certificate: read again exit code 0")
    stage.run(served, new, **address)
    stage.collector.tls = renewed.trusting()
    renewed.key.rename(stage.folder / "away")
    stage.collector.workers()[0].kill()
    stage.sees("worker_failed")
    (stage.folder / "away").rename(renewed.key)
    stage.ends()


def _end(printed: str) -> str:
    return next(line for line in printed.splitlines() if line.startswith("notAfter="))
