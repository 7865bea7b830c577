"""The fields of an event: their types, and the ids, times and counts that need more than a type. Knows no request."""
