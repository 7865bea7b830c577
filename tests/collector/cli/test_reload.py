"""`collector reload`, with a stand-in for the collector."""

import socket
import threading
from pathlib import Path

import pytest

from collector.cli import main

_GREETING = '{"settings":"FOLDER/c.toml"}\n'


@pytest.mark.parametrize(
    "answer", ["", '{"sett', _GREETING, _GREETING + '{"lines":["worker 1 of 2', _GREETING + "{}\n"]
)
def test_a_collector_that_is_killed_in_mid_line_has_ended_before_the_reload_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    (tmp_path / "c.toml").write_text('[log]\ndir = "."\n')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        answering = threading.Thread(target=_answer, args=(listener, answer.replace("FOLDER", str(tmp_path)).encode()))
        answering.start()
        assert main(["reload", "--config", str(tmp_path / "c.toml")]) == 1
        answering.join()
    assert capsys.readouterr() == ("", "collector: the collector ended before the reload did\n")


def _answer(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(answer)
        if answer.endswith(b"\n"):
            connection.recv(1)
