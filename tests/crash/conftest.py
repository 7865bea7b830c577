"""What the crash tests share: each has a tally, and all tallies make the table at the end of the run."""

import pytest

from tests.crash.tally import Tally, table

_TALLIES = pytest.StashKey[list[Tally]]()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """The row of the test that asks for it."""
    row = Tally(request.node.name)
    request.config.stash.setdefault(_TALLIES, []).append(row)
    return row


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, if there is a row with a fault in it."""
    rows = [row for row in config.stash.get(_TALLIES, []) if row.faults]
    if rows:
        terminalreporter.section("crash tests")
        for line in table(rows):
            terminalreporter.write_line(line)
