"""Every metric of `/metrics`: its name, type, labels, unit and meaning. Code and documentation read this table."""

from typing import Final

from collector.ops.metric import BILLION, Metric, counter, seconds

OTHER: Final = "other"
"""The label value of things without one of their own: a path that is not served, properties beyond 1,000."""
WORKER_DIED: Final = "worker_died"
"""The code of events that a worker held when it died."""

_MILLISECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DISK_SECONDS: Final = (0.0001, 0.00025, 0.0005, *_MILLISECONDS)


REQUESTS: Final = counter(
    "tracklog_requests_total",
    "Responses written, by the path that is served (other for all that are not) and status. Bytes that are not a "
    "request, and connections over a limit that get a 503, count with path other.",
    "path",
    "status",
)
RECEIVED: Final = counter(
    "tracklog_events_received_total",
    "Events received by property: stored + duplicate + rejected + shed + those that wait for the disk now. A request "
    "that is refused before its events are looked at counts as one event; HEAD and OPTIONS count as none; portal and "
    "prop are empty for a request that names no property in a valid way.",
    "portal",
    "prop",
)
STORED: Final = counter(
    "tracklog_events_stored_total",
    "Events whose block of the log is fsynced, whether the client is still there or not.",
    "portal",
    "prop",
)
REJECTED: Final = counter(
    "tracklog_events_rejected_total",
    "Events refused because of the request or its rate, by the code of the response; client_gone: the client "
    "disconnected before its events were processed.",
    "portal",
    "prop",
    "code",
)
DUPLICATE: Final = counter(
    "tracklog_events_duplicate_total",
    "Events not stored because the log has one of the same property and id already; their clients got a 200.",
    "portal",
    "prop",
)
CLIENT_LOST: Final = counter(
    "tracklog_client_lost_events_total",
    "Events that clients lost before they could send them, as the field lost of stored events tells. They are in no "
    "other count of events.",
    "portal",
    "prop",
)
SHED: Final = counter(
    "tracklog_events_shed_total",
    "Events that the collector could not take (503), by code; worker_died: a worker died while it held them, and their "
    "clients got no response.",
    "portal",
    "prop",
    "code",
)
UNKNOWN: Final = counter(
    "tracklog_unknown_property_total",
    "Requests refused with 404 because no such property exists. They are in no other count of events.",
)
RELAYED: Final = counter(
    "tracklog_relayed_events_total",
    "Events stored for other nodes by way of /relay. They were received there, and are in no other count of events.",
)
DEAD_LETTERS: Final = counter(
    "tracklog_dead_letters_total",
    "Dead letters written, by the code of their first reason; one letter may hold several events of a batch.",
    "code",
)
REQUEST_SECONDS: Final = seconds(
    "tracklog_request_seconds",
    "From the last byte of a request to its response being written; 0 if the response did not wait for the last byte. "
    "The clock is read once a turn of the event loop.",
    _MILLISECONDS,
)
COMMIT_SECONDS: Final = seconds(
    "tracklog_commit_seconds", "Time of a commit to the log of events: write and fsync of one block.", _DISK_SECONDS
)
FSYNC_SECONDS: Final = seconds("tracklog_fsync_seconds", "Time of the fdatasync in a commit.", _DISK_SECONDS)
COMMIT_EVENTS: Final = Metric(
    "tracklog_commit_events",
    "histogram",
    "Events in a commit.",
    bounds=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000),
)
CONNECTIONS: Final = Metric("tracklog_connections", "gauge", "Open connections, looked at once a second.")
IN_FLIGHT: Final = Metric(
    "tracklog_in_flight_bytes",
    "gauge",
    "Bytes of bodies in memory, looked at once a second; limits.in_flight_bytes bounds them for each worker.",
    unit="bytes",
)
LOOP_DELAY: Final = Metric(
    "tracklog_event_loop_delay_seconds",
    "gauge",
    "How late the event loop of the slowest worker ran a timer, looked at once a second.",
    unit="seconds",
    scale=BILLION,
)
PRESSURE: Final = Metric(
    "tracklog_pressure",
    "gauge",
    "How close a shard's log is to refusing events, by waiting bytes, a slow disk or a full one; 1 and above: it does.",
    ("shard",),
    scale=BILLION,
)
READY: Final = Metric(
    "tracklog_ready",
    "gauge",
    "1 if the worker in this place could acknowledge an event now, else 0: while it starts or drains, and for a full "
    "disk, a stall or a failed fsync, but never for a sink. /readyz has the reason.",
    ("place",),
)
LAST_RELOAD: Final = Metric(
    "tracklog_last_reload_accepted",
    "gauge",
    "1 if the last reload of the settings was accepted, or there was none since the start, else 0: the settings from "
    "before it are in effect. /status has the reason.",
)
CERTIFICATE_END: Final = Metric(
    "tracklog_certificate_expiration_timestamp_seconds",
    "gauge",
    "Unix time at which the certificate expires that the worker in this place serves; absent without HTTPS.",
    ("place",),
    "seconds",
)
RESTARTS: Final = counter(
    "tracklog_worker_restarts_total",
    "Workers that ended without being told to, by signal (SIGKILL) or exit code (exit_code_1); not_started: no process "
    "could be started.",
    "reason",
)
DEDUP_ENTRIES: Final = Metric(
    "tracklog_dedup_entries", "gauge", "Ids of events that are remembered, by all workers together."
)
DEDUP_OLDEST: Final = Metric(
    "tracklog_dedup_oldest_seconds",
    "gauge",
    "Age of the oldest id that is remembered. Below the `dedup` of a property, the bounds of the index are too low.",
    unit="seconds",
    scale=BILLION,
)
DEDUP_BYTES: Final = Metric(
    "tracklog_dedup_bytes", "gauge", "Bytes of the index that hold ids; `dedup.bytes` bounds them.", unit="bytes"
)
DEDUP_FORGOTTEN: Final = counter(
    "tracklog_dedup_forgotten_total",
    "Ids forgotten before their time, because the index has no room for them. An event with such an id is stored once "
    "more if it is sent again; raise dedup.entries or dedup.bytes.",
)
LOG_BYTES: Final = Metric("tracklog_log_bytes", "gauge", "Bytes of the segments of a shard.", ("shard",), unit="bytes")
LOG_SEGMENTS: Final = Metric("tracklog_log_segments", "gauge", "Segments of a shard.", ("shard",))
DISK_FREE: Final = Metric("tracklog_disk_free_bytes", "gauge", "Free bytes of the disk of log.dir.", unit="bytes")
DAMAGED: Final = counter(
    "tracklog_damaged_events_total", "Events of the log that can't be read any more, as damage.ndjson lists them."
)
SINK_DELIVERED: Final = counter(
    "tracklog_sink_delivered_events_total",
    "Events of a shard before the sink's cursor: delivered, or in the dead letters because the sink refused them.",
    "sink",
    "shard",
)
SINK_LAG_EVENTS: Final = Metric(
    "tracklog_sink_lag_events", "gauge", "Events of a shard after the sink's cursor.", ("sink", "shard")
)
SINK_LAG_BYTES: Final = Metric(
    "tracklog_sink_lag_bytes", "gauge", "The same in bytes of segments.", ("sink", "shard"), unit="bytes"
)
SINK_LAG_SECONDS: Final = Metric(
    "tracklog_sink_lag_seconds", "gauge", "Age of the oldest of them, 0 if there is none.", ("sink", "shard"), "seconds"
)
SINK_UP: Final = Metric(
    "tracklog_sink_up", "gauge", "1 if the sink's last attempt succeeded, else 0.", ("sink", "shard")
)
SINK_FAILURES: Final = counter(
    "tracklog_sink_failures_total",
    "Failed attempts of a sink since its worker started.",
    "sink",
    "shard",
)
CPU_SECONDS: Final = Metric(
    "process_cpu_seconds_total", "counter", "CPU time of a worker, user and system.", ("worker",), "seconds"
)
RESIDENT: Final = Metric(
    "process_resident_memory_bytes", "gauge", "Resident memory of a worker.", ("worker",), unit="bytes"
)
OPEN_FILES: Final = Metric("process_open_fds", "gauge", "Open file descriptors of a worker.", ("worker",))
BUILD: Final = Metric(
    "tracklog_build_info",
    "info",
    "The version of the collector, of Python, and the digest of the settings.",
    ("version", "python", "config"),
)

METRICS: Final = tuple(metric for metric in list(globals().values()) if isinstance(metric, Metric))
"""All of them, in the order in which they are defined."""
LARGEST: Final = (LOOP_DELAY, DEDUP_ENTRIES, DEDUP_OLDEST, DEDUP_BYTES)
"""Those of which each worker has a value for the whole node: the largest counts."""
