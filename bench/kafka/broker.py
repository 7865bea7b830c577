"""A Kafka of one node on 127.0.0.1, in KRaft mode. `python -m bench.kafka.broker` runs one until Ctrl-C."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bench.kafka.jars import jars
from bench.processes import end, free_port, is_connectable

_PATIENCE_SECONDS = 60.0
_JAVA = (
    "java",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
)
_CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "broker.session.timeout.ms": "2000",  # a node that was killed waits so long for itself to be forgotten
    "broker.heartbeat.interval.ms": "500",
    "num.partitions": "3",
}


class Broker:
    """One node and its folder, which is made. Use `broker` to have it stopped at the end."""

    def __init__(self, folder: Path, properties: Mapping[str, str] | None = None) -> None:
        """`properties` are added to the node's, or replace them."""
        self.folder = folder
        self.port, self.sasl_port, controller = free_port(), free_port(), free_port()
        listeners = f"PLAINTEXT://127.0.0.1:{self.port},SASL_SSL://127.0.0.1:{self.sasl_port}"
        is_secured = "sasl.enabled.mechanisms" in (properties or {})
        listeners = listeners if is_secured else listeners.partition(",")[0]
        addresses = {
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": listeners,
            "log.dirs": str(folder / "data"),
        }
        lines = (_PROPERTIES | addresses | dict(properties or {})).items()
        folder.mkdir(exist_ok=True)
        self._settings = folder / "server.properties"
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in lines))
        self._said = folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._java = [*_JAVA, "-cp", f"{jars()}/*"]
        self._run("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(self._settings))

    @property
    def address(self) -> str:
        """`host:port` without authentication."""
        return f"127.0.0.1:{self.port}"

    @property
    def sasl_address(self) -> str:
        """`host:port` with SASL over TLS, where `sasl.enabled.mechanisms` is among the properties."""
        return f"127.0.0.1:{self.sasl_port}"

    @property
    def pid(self) -> int:
        """The process id of the node that runs."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start on the same data and ports as before, and return once it answers."""
        with self._said.open("ab") as said:
            command = [*self._java, "kafka.Kafka", str(self._settings)]
            self._process = subprocess.Popen(command, stdout=said, stderr=said, cwd=self.folder, start_new_session=True)
        try:
            self._wait(self._process, time.monotonic() + _PATIENCE_SECONDS)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            end(self._process)

    def stop(self) -> None:
        """Let it shut down in order; kill it if it does not."""
        if self._process:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_SECONDS)
        self.kill()

    def _wait(self, process: "subprocess.Popen[bytes]", deadline: float) -> None:
        while not self._answers():
            assert process.poll() is None, self._said.read_text()
            assert time.monotonic() < deadline, self._said.read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        if not is_connectable(self.port):
            return False
        try:
            admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
            return len(admin.list_topics(timeout=2.0).brokers) == 1
        except KafkaException:
            return False

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([*self._java, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def broker(folder: Path, properties: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """A broker that answers, and is killed at the end: nobody needs what it has."""
    node = Broker(folder, properties)
    try:
        node.start()
        yield node
    finally:
        node.kill()


def main() -> None:
    """Run a broker for people."""
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as node:
        sys.stdout.write(f"Kafka answers on {node.address}; Ctrl-C ends it and deletes its data\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
