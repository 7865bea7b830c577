"""Matomo's and Piwik's trackers. Pure."""
