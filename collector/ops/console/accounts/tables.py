"""The tables of the accounts.

events   day, property, code → events           what became of them
unknown  day, name → requests, first_ms         requests that name no property that exists
counted  property, code → events                the counters of this boot when they were saved last
boots    begin_ms → end_ms                      the time in which counters were saved
logs     log → counted, boot_ms                 events before this sequence are in `events`; the last boot with more
gaps     log, until_ms → next                   events that no counter has: from this sequence to that time
rings    block → number                         the refusals of each worker that are in `unknown`
places   log → segment, offset, sequence        how far dead letters or redriven events are in `events`
refused  log, sequence → day, property          events that a sink refused: several may refuse one, or one twice
"""

import os
import sqlite3
from typing import Final

from wal.files import FILE_MODE

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS events(day INTEGER, property TEXT, code TEXT, events INTEGER NOT NULL,
    PRIMARY KEY(day, property, code)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unknown(day INTEGER, name TEXT, requests INTEGER NOT NULL, first_ms INTEGER NOT NULL,
    PRIMARY KEY(day, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counted(property TEXT, code TEXT, events INTEGER NOT NULL,
    PRIMARY KEY(property, code)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boots(begin_ms INTEGER PRIMARY KEY, end_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS logs(log TEXT PRIMARY KEY, counted INTEGER NOT NULL, boot_ms INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps(log TEXT, until_ms INTEGER, next INTEGER NOT NULL, PRIMARY KEY(log, until_ms))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rings(block INTEGER PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS places(log TEXT PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
    sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refused(log TEXT, sequence INTEGER, day INTEGER NOT NULL, property TEXT NOT NULL,
    PRIMARY KEY(log, sequence)) WITHOUT ROWID;
"""


def open_tables(path: str) -> sqlite3.Connection:
    """The database, with all tables. Raises OSError, and sqlite3.DatabaseError for another file or a damaged one."""
    if path != ":memory:":  # SQLite would let everybody read its files; all have the mode of the first
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError(f"{path} is damaged")
        db.executescript(_TABLES)
    except BaseException:
        db.close()
        raise
    return db
