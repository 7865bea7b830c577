"""The metrics that alert rules and dashboard may use."""

from typing import Final

METRICS: Final = frozenset(
    {
        "tracklog_requests_total",
        "tracklog_events_received_total",
        "tracklog_events_stored_total",
        "tracklog_events_rejected_total",
        "tracklog_events_shed_total",
        "tracklog_unknown_property_total",
        "tracklog_request_seconds",
        "tracklog_commit_seconds",
        "tracklog_fsync_seconds",
        "tracklog_commit_events",
        "tracklog_log_bytes",
        "tracklog_log_segments",
        "tracklog_disk_free_bytes",
        "tracklog_pressure",
        "tracklog_sink_delivered_events_total",
        "tracklog_sink_lag_events",
        "tracklog_sink_lag_bytes",
        "tracklog_sink_lag_seconds",
        "tracklog_sink_up",
        "tracklog_sink_failures_total",
        "tracklog_dead_letters_total",
        "tracklog_damaged_events_total",
        "tracklog_connections",
        "tracklog_in_flight_bytes",
        "tracklog_event_loop_delay_seconds",
        "tracklog_worker_restarts_total",
        "tracklog_build_info",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
    }
)
"""Full names, with `_total` for a counter; of a histogram without `_bucket`."""
