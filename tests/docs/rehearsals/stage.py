"""The stage of a rehearsal: a node, its Prometheus, and a shell for the commands of a page of the runbook."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.request import urlopen

from bench.processes import free_port
from tests.crash.volume import memory
from tests.deploy.prometheus import Prometheus, prometheus
from tests.docs.rehearsals.runbook_page import RunbookPage
from tests.docs.shell import Shell, shell
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually
from tools.docs.alerts import rules

EVENT: Final = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_SETTINGS: Final = """
[server]
port = {{port}}
workers = {{workers}}
grace_seconds = 3
{server}
[admin]
port = {admin_port}
[dedup]
{dedup}
[[property]]
portal_id = 33167
prop_id = 564990801
redirect_hosts = ["shop.example.com"]
[[sink]]
type = "file"
name = "files"
dir = "events"
flush_seconds = 0.1
{tables}
"""
"""The sink is not on the disk of the log."""
_SMALL_INDEX: Final = "bytes = 16777216"
_ONCE: Final = ("collector reload", "collector dead show", "wal repair")
"""Commands that are run once; others run again until they show what is expected."""
_TOKEN: Final = "no token is asked for"
_WINDOW: Final = "5s"
_DURATION: Final = re.compile(r"\b\d+[mh]\b")

T = TypeVar("T")


class Stage:
    """Runs one rehearsal in a folder. `start` comes first. Use `on_stage`, which ends all that was started."""

    collector: Collector
    _shell: Shell
    _prometheus: Prometheus

    def __init__(self, name: str, folder: Path, stack: ExitStack) -> None:
        self.page = RunbookPage(name)
        self.folder = folder
        self.ran: set[str] = set()
        """The commands of the page that were run."""
        self.seen: set[str] = set()
        """The events that were seen in the process log."""
        self._admin_port = free_port()
        self._stack = stack
        self._expression = rules().get(name, {}).get("expr", "")
        self._printed = ""

    def start(
        self,
        tables: str = "",
        *,
        server: str = "",
        dedup: str = _SMALL_INDEX,
        workers: int = 1,
        window: str = _WINDOW,
        smaller: Mapping[str, str] | None = None,
        is_quiet: bool = True,
    ) -> None:
        """Start the node, with these further tables and lines of [server]. The alert does not hold then, if `is_quiet`.

        `dedup` are the lines of that table.

        Each duration in the alert's expression becomes `window`, and thresholds are made `smaller`.
        """
        self._expression = _DURATION.sub(window, self._expression)
        for threshold, instead in (smaller or {}).items():
            assert threshold in self._expression
            self._expression = self._expression.replace(threshold, instead)
        text = _SETTINGS.format(server=server, dedup=dedup, admin_port=self._admin_port, tables=_escaped(tables))
        self.collector = Collector(self.folder, workers, text)
        self._stack.callback(self._kill)
        self.collector.start()
        self._shell = self._stack.enter_context(shell(self.folder, str(self._admin_port)))
        (self.folder / "watch").mkdir()
        self._prometheus = self._stack.enter_context(prometheus(self.folder / "watch", self._admin_port, _TOKEN))
        eventually(lambda: self._prometheus.values("up") == ["1"], "the node is scraped")
        if is_quiet:
            self._expect_alert(is_on=False)

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter a context that ends with the rehearsal."""
        return self._stack.enter_context(context)

    def disk(self, size: int) -> None:
        """Give the log a disk of that many bytes, before the start. The index of event ids stays on another one."""
        self.enter(memory(self.folder / "data", size))
        (self.folder / "dedup").mkdir()
        (self.folder / "data/dedup").symlink_to(self.folder / "dedup")

    def post(self, number: int = 1, /, **fields: object) -> set[int]:
        """Post so many events; returns the statuses."""
        return {self.collector.post({**EVENT, **fields}).status for _ in range(number)}

    def change(self, old: str, new: str) -> None:
        """Change the settings file."""
        path = self.folder / "collector.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def restart(self) -> None:
        """Stop the node, and start it."""
        assert self.collector.stop() == 0
        self.collector.start()

    def reload(self) -> None:
        """Bring the changed settings into effect."""
        self._call("reload")

    def redrive(self) -> None:
        """Give the dead letters a second chance."""
        self._call("redrive")

    def status(self) -> Any:
        """What /status of the admin address says."""
        with urlopen(f"http://127.0.0.1:{self._admin_port}/status", timeout=PATIENCE_SECONDS) as response:
            return json.load(response)

    def fires(self, again: Callable[[], object] = lambda: None) -> None:
        """The expression of the alert holds, while this is done again and again."""
        self._expect_alert(is_on=True, meanwhile=again)

    def sees(self, *events: str) -> None:
        """Wait for events in the process log."""
        for event in events:
            eventually(lambda event=event: f" {event}: " in self.collector.stderr, f"{event}; {self.collector.stderr}")
        self.seen |= set(events)

    def decides(self, cell: str) -> None:
        """Find a row on the page by its first cell. Its messages were seen in the process log or printed."""
        for message in self.page.messages_of(cell):
            told = self.collector.stderr + self._printed
            assert _found(message, told), f"{message} is nowhere in\n{told}"

    def run(self, command: str, shows: str = "…", **words: str) -> str:
        """Run a command of the page until it prints this, in which `…` stands for anything; returns its output.

        `words` are put in the place of those on the page, such as FILE. The output ends with the exit code.
        """
        assert command in self.page.commands, f"{self.page.name} does not show `{command}`"
        self.ran.add(command)
        return self._run(command, shows, words)

    def keep_evidence(self) -> None:
        """Run the commands that save the evidence. Each tells something, also while the fault lasts."""
        for command in self.page.evidence:
            assert len(self._run(command, "exit code …", {})) > len("exit code 0")

    def ends(self) -> None:
        """The fault is over: the alert does not hold, the node is ready, and the accounts balance."""
        self._expect_alert(is_on=False)
        eventually(lambda: self.collector.send("GET", "/healthz").status == 200, "the node is ready")
        assert self._call("audit").splitlines()[-1:] == ["balanced"]

    def _call(self, command: str) -> str:
        """What `collector COMMAND` prints. It must end with 0."""
        call = [str(PROGRAMS / "collector"), command]
        done = subprocess.run(
            call, check=False, cwd=self.folder, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS
        )
        assert done.returncode == 0, done
        return done.stdout

    def _run(self, command: str, shows: str, words: Mapping[str, str]) -> str:
        for word, instead in ({"8081": str(self._admin_port)} | dict(words)).items():
            command = re.sub(rf"\b{word}\b", instead, command)
        output = self._shell.run(f'{command}; echo "exit code $?"')

        def shows_it() -> bool:
            nonlocal output
            if not _found(shows, output) and not command.startswith(_ONCE):
                output = self._shell.run(f'{command}; echo "exit code $?"')
            return _found(shows, output)

        try:
            eventually(shows_it, f"{command} shows {shows}")
        except AssertionError as error:
            error.add_note(output)
            raise
        self._printed += output
        return output

    def _expect_alert(self, *, is_on: bool, meanwhile: Callable[[], object] = lambda: None) -> None:
        if self._expression:
            what = f"{self._expression} {'holds' if is_on else 'does not hold'}"
            eventually(lambda: (meanwhile(), bool(self._prometheus.values(self._expression)) is is_on)[1], what)

    def _kill(self) -> None:
        if hasattr(self.collector, "process"):
            self.collector.kill()


@contextmanager
def on_stage(name: str, folder: Path) -> Iterator[Stage]:
    """The stage for a page, by its name. It ends all that was started, and tells the process log of a failure."""
    with ExitStack() as stack:
        stage = Stage(name, folder, stack)
        try:
            yield stage
        except BaseException as error:
            error.add_note(stage.collector.stderr if hasattr(stage, "collector") else "it was not started")
            raise


def last_id(listing: str) -> str:
    """The first word of the last line of a listing, before the exit code."""
    return listing.splitlines()[-2].split()[0]


def _found(shown: str, text: str) -> bool:
    """Whether a text has what is shown, in which `…` stands for anything; all white space is alike."""
    parts = [re.escape(" ".join(part.split())) for part in shown.split("…")]
    return re.search(".*?".join(parts), " ".join(text.split())) is not None


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
