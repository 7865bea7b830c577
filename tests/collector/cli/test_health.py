"""`collector health` where another program has the port."""

import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from collector.cli import main


@pytest.mark.parametrize("body", [b"[]", b'"ok"', b"null", b'{"status":"x"}', b"\x1b[31mhello", b""])
def test_another_program_on_the_port_is_not_taken_for_the_collector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Tests say what went wrong themselves."""

    with closing(_Server(("127.0.0.1", 0), Other)) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        settings = tmp_path / "collector.toml"
        settings.write_text(f"[server]\nhost = '127.0.0.1'\nport = {server.server_port}\n")
        assert main(["health", "--config", str(settings)]) == 1
    line = capsys.readouterr().out
    assert line.startswith(f"no response from 127.0.0.1 port {server.server_port}: ")
    assert "\x1b" not in line


class _Server(HTTPServer):
    def close(self) -> None:
        """Stop to listen."""
        self.server_close()
