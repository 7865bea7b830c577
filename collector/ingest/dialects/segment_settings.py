"""The settings documents that SDKs of Segment and RudderStack fetch before they send anything, pure.

Each is the least that works: no destinations, and the SDK's own telemetry off. A GET of
`/v1/projects/KEY/settings` gets the first, one of `/sourceConfig` the second; for an unknown key the response is 404.
"""

import msgspec


def settings_document(property_id: str, host: str, scheme: str) -> bytes:
    """Segment's settings, as JSON: calls go to `SCHEME://HOST/v1`, and no metrics go to `/v1/m`.

    `host`: as the client reached us, with the port if it is not the scheme's. The SDK uses `property_id` as its write
    key. SDKs for mobile systems use https whatever the scheme is.
    """
    destination = {"apiKey": property_id, "apiHost": f"{host}/v1", "protocol": scheme}
    return msgspec.json.encode({"integrations": {"Segment.io": destination}, "metrics": {"sampleRate": 0}})


def source_config(property_id: str, _host: str, _scheme: str) -> bytes:
    """RudderStack's source config, as JSON. The SDK knows from its own configuration where calls go.

    The SDK for pages needs id, config and destinations; those for Android, Kotlin and iOS need the other members.
    """
    off = {"enabled": False}
    source = {
        "id": property_id,
        "name": property_id,
        "writeKey": property_id,
        "workspaceId": property_id,
        "enabled": True,
        "updatedAt": "1970-01-01T00:00:00.000Z",
        "config": {"statsCollection": {"errors": off, "metrics": off}},
        "destinations": [],
    }
    return msgspec.json.encode({"source": source})
