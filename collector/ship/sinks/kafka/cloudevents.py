"""Messages as CloudEvents in Kafka's binary mode: attributes are headers, and the value is the record as it is.

The Kafka protocol binding allows this mode and the structured one, which wraps the record in JSON. In this mode a
consumer that knows nothing of CloudEvents reads the same value as without them, and one that routes by type or source
need not parse the value.
"""

from collector.ship.formats.cloudevents import DATA_TYPE, SPECVERSION, attributes_of
from collector.ship.sinks.kafka.messages import Headers


def headers_of(line: bytes) -> Headers:
    """The headers of a record's line. Raises msgspec.DecodeError if the line is not a record."""
    attributes = attributes_of(line)
    return [
        ("content-type", DATA_TYPE.encode()),
        ("ce_specversion", SPECVERSION.encode()),
        ("ce_id", attributes.id.encode()),
        ("ce_source", attributes.source.encode()),
        ("ce_type", attributes.type.encode()),
        ("ce_time", attributes.time.encode()),
    ]
