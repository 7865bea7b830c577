"""Rows on their way out: a table or JSON lines on stdout, results.json and charts in a folder."""

import platform
from pathlib import Path
from typing import Final

import msgspec
import psutil

from bench.measure import Row, progress

_HEADING: Final = f"\n{'':48} {'measured':>12} {'times':>6}  {'reference':36} {'at most':>8} {'goal':>5} {'':7} beside"
_FILE: Final = "results.json"


class _Results(msgspec.Struct):
    machine: str
    rows: list[Row]


class Results:
    """The rows of a run, and those of earlier runs for the scenarios that this one does not measure."""

    def __init__(self, folder: Path | None, *, is_json: bool, is_judged: bool) -> None:
        """`folder` gets the files, if any. Without `is_judged` no bound is looked at."""
        self._folder = folder
        self._is_json = is_json
        self._is_judged = is_judged
        self._rows: list[Row] = []
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            self._rows = _earlier(folder)
        self.is_broken = False

    def begin(self, scenario: str) -> None:
        """Start the rows of a scenario, in place of its earlier ones."""
        self._rows = [row for row in self._rows if row.scenario != scenario]
        if not self._is_json:
            print(_HEADING)

    def add(self, scenario: str, row: Row) -> None:
        """Print a row, and write it to the file."""
        row.scenario = scenario
        self._rows.append(row)
        self.is_broken |= self._is_judged and row.verdict == "BROKEN"
        if self._folder:
            results = _Results(machine(), self._rows)
            (self._folder / _FILE).write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
        print(msgspec.json.encode(row).decode() if self._is_json else self._line(row), flush=True)

    def draw(self) -> None:
        """Draw the charts."""
        if self._folder:
            # matplotlib takes half of the time of a start
            from bench import charts  # noqa: PLC0415

            for path in [self._folder / _FILE, *charts.draw(self._rows, self._folder)]:
                progress(f"written: {path}")

    def _line(self, row: Row) -> str:
        digits = 0 if isinstance(row.value, int) else 1 if row.unit == "us" else 2
        value = f"{row.value:,.{digits}f} {row.unit}"
        times = "" if row.ratio is None else f"{row.ratio:.2f}"
        most, goal = ("" if bound is None else f"{bound:g}" for bound in (row.most, row.goal))
        verdict = row.verdict if self._is_judged else ""
        return f"{row.name:48} {value:>12} {times:>6}  {row.reference:36} {most:>8} {goal:>5} {verdict:7} {row.beside}"


def machine() -> str:
    """The machine and what runs on it."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    processor = model.partition(":")[2].strip() or platform.machine()
    return f"{psutil.cpu_count()} cores of {processor}, Linux {platform.release()}, Python {platform.python_version()}"


def _earlier(folder: Path) -> list[Row]:
    try:
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=_Results).rows
    except (FileNotFoundError, msgspec.MsgspecError):
        return []
