"""The console: the page of the admin address and its API. Reads log, cursors and dead letters, and writes to none."""
