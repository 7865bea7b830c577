"""The way in: a request becomes durable records and a response. Knows no sink.

Of fields, bodies, policy, accounts, storing and dialects, a folder imports only those before it.
"""
