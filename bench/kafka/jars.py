"""Kafka's jars, copied once by Maven into .cache/kafka below the repository."""

import fcntl
import shutil
import subprocess
from hashlib import blake2b
from pathlib import Path

_POM = Path(__file__).with_name("pom.xml")
_CACHE = Path(__file__).parents[2] / ".cache" / "kafka"
_COPY = ("mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", "-DincludeScope=runtime")


def why_not() -> str:
    """What keeps a broker from being run here; empty if nothing does."""
    if not shutil.which("java"):
        return "there is no java; apt-get install openjdk-17-jre-headless brings it"
    if not _folder().is_dir() and not shutil.which("mvn"):
        return "there is no mvn to fetch Kafka's jars; apt-get install maven brings it"
    return ""


def jars() -> Path:
    """The folder of jars, filled if it is not there yet. Fails with what Maven said."""
    folder = _folder()
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "LOCK").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fill(folder)
    return folder


def _fill(folder: Path) -> None:
    unfinished = folder.with_suffix(".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    done = subprocess.run([*_COPY, f"-DoutputDirectory={unfinished}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    unfinished.rename(folder)


def _folder() -> Path:
    """A new pom.xml gets a new folder."""
    return _CACHE / blake2b(_POM.read_bytes(), digest_size=6).hexdigest()
