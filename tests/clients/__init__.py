"""The real SDKs of others, unchanged, against a collector: each loses nothing and reports no error."""
