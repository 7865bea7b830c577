"""Snowplow's trackers, by POST and by GET. Pure."""
