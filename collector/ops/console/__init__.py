"""The console: the page of the admin address and its API. Reads log, cursors and dead letters, and writes to none.

Of api, rows, access, lookup, letters, jobs, node, accounts, live and try_event, a folder imports only those before it.
"""
