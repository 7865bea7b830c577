"""The digest of settings: the same for the same settings, whoever wrote them."""

from pathlib import Path

from collector.settings import load_settings
from collector.settings.digest import settings_digest


def _digest(folder: Path, text: str) -> str:
    path = folder / "c.toml"
    path.write_text(text)
    return settings_digest(load_settings(str(path)))


def test_comments_order_and_written_defaults_do_not_count_and_every_setting_does(tmp_path: Path) -> None:
    digest = _digest(tmp_path, "[server]\nport = 1\nworkers = 2\n")
    assert len(digest) == 12
    assert _digest(tmp_path, "# why\n[log]\nsegment_seconds = 60\n[server]\nworkers = 2\nport = 1\n") == digest
    assert _digest(tmp_path, "[server]\nport = 2\nworkers = 2\n") != digest
    sink = '[[sink]]\ntype = "http"\nurl = "http://h/"\nheaders = { %s }\n'
    assert _digest(tmp_path, sink % 'a = "1", b = "2"') == _digest(tmp_path, sink % 'b = "2", a = "1"')
    assert _digest(tmp_path, '[server]\nport = 1\nworkers = 2\n[[sink]]\ntype = "file"\ndir = "a"\n') != digest
