"""The settings documents have what the SDKs read, and turn their own telemetry off."""

import json

from collector.ingest.dialects.segment_settings import settings_document, source_config


def test_segments_settings_send_calls_to_this_host_and_no_metrics() -> None:
    document = json.loads(settings_document("ID", "collect.example.com:8080", "http"))
    assert document == {
        "integrations": {"Segment.io": {"apiKey": "ID", "apiHost": "collect.example.com:8080/v1", "protocol": "http"}},
        "metrics": {"sampleRate": 0},
    }


def test_rudderstacks_source_is_enabled_without_destinations_and_statistics() -> None:
    source = json.loads(source_config("ID", "collect.example.com", "https"))["source"]
    assert source["config"] == {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}}
    assert source["destinations"] == []
    assert source["enabled"] is True
    texts = {name: source[name] for name in ("id", "name", "writeKey", "workspaceId", "updatedAt")}
    assert texts == {
        "id": "ID",
        "name": "ID",
        "writeKey": "ID",
        "workspaceId": "ID",
        "updatedAt": "1970-01-01T00:00:00.000Z",
    }
