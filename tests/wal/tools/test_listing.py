"""How far a consumer is behind, where its log is not whole."""

from contextlib import closing

import pytest

from tests.wal.logs import FILES, line, segments
from wal.cursor import Cursor
from wal.errors import MissingSegment
from wal.folder import LogFolder
from wal.log import Log
from wal.tools.listing import lag_of


def test_a_log_without_a_segment_has_no_lag_but_an_error_that_names_the_segment(directory: str) -> None:
    with closing(Log(directory)) as log:
        log.commit(line(1), 1)
        cursor, log_id = Cursor(log.end), log.log_id
    for path in segments(directory):
        path.unlink()
    with pytest.raises(MissingSegment, match=r"expected segment 1, found no segment; restore the log"):
        lag_of(LogFolder(FILES, directory, log_id), cursor)
