"""Bodies of requests to the bytes of events: media type, inflation, splitting. Knows no field of an event."""
