"""Where a log ends, and how far a consumer is behind, where the log is not whole."""

from contextlib import closing

import pytest

from tests.wal.logs import FILES, damage, line, lines, segments
from wal.cursor import Cursor
from wal.errors import MissingSegment
from wal.folder import LogFolder
from wal.log import Log
from wal.tools.listing import end_of, end_of_log, lag_of


def test_a_log_without_a_segment_has_no_lag_but_an_error_that_names_the_segment(directory: str) -> None:
    with closing(Log(directory)) as log:
        log.commit(line(1), 1)
        cursor, log_id = Cursor(log.end), log.log_id
    for path in segments(directory):
        path.unlink()
    with pytest.raises(MissingSegment, match=r"expected segment 1, found no segment; restore the log"):
        lag_of(LogFolder(FILES, directory, log_id), cursor)


@pytest.mark.parametrize("blocks", [0, 1, 3, 400])
@pytest.mark.parametrize("fault", ["none", "torn", "damaged"])
def test_the_end_of_a_log_is_found_from_its_last_bytes(directory: str, blocks: int, fault: str) -> None:
    with closing(Log(directory)) as log:
        for _ in range(blocks):
            log.commit(lines(range(100)), 100)
        (path,) = segments(directory)
        if fault == "torn":
            with path.open("ab") as file:
                file.write(b'["T","')
        elif fault == "damaged":
            damage(path, log.end.offset // 2)
        end = end_of_log(log.folder)
        assert end == end_of(log.folder, log.folder.segments()[-1])
        if fault == "none":
            assert end[0] == log.end
