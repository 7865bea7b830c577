"""Dialects: requests of another form than the API page's, into the same log."""
