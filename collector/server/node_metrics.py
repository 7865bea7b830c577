"""The metrics that the supervisor knows: readiness, the last reload, the end of the certificate. Pure."""

from collections.abc import Iterator

from collector.ops.counters import Key
from collector.ops.metric_table import CERTIFICATE_END, LAST_RELOAD, READY
from collector.server.node_state import NodeState


def samples_of(node: NodeState) -> dict[Key, float]:
    """The values of OF_THE_NODE by metric name and place. A place without a certificate is left out."""
    return dict(_samples(node))


def _samples(node: NodeState) -> Iterator[tuple[Key, float]]:
    yield (LAST_RELOAD.name,), float(node.last_reload is None or node.last_reload.is_accepted)
    for worker in node.workers:
        yield (READY.name, str(worker.place)), float(worker.is_ready and not node.is_stopping)
        if worker.certificate_end is not None:
            yield (CERTIFICATE_END.name, str(worker.place)), worker.certificate_end
