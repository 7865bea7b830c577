"""The index of event ids: it tells whether the logs of this node hold an event already, and where.

Owns the files of the index, and the rules by which an entry is valid. The logs are the truth: the index is made from
them again whenever it can't be trusted. It knows ids as keys of 16 bytes, log ids and sequences. It knows no request.
"""
