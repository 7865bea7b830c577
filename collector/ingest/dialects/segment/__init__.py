"""Segment, RudderStack and Jitsu: one shape of calls. Pure."""
