"""The node now and in the last hour: its series, its disk, its shards. Knows no single event."""
