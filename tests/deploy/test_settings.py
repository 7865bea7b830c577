"""The settings files of deploy/ are sound."""

from pathlib import Path

import pytest

from collector.cli import COMMANDS
from collector.settings import load_settings

_ROOT = Path(__file__).parents[2]
_FILES = sorted((_ROOT / "deploy").rglob("*.toml"))


@pytest.mark.parametrize("path", _FILES, ids=[path.relative_to(_ROOT).as_posix() for path in _FILES])
def test_a_settings_file_of_deploy_has_no_fault(path: Path) -> None:
    assert load_settings(str(path)).property


@pytest.mark.parametrize("path", _FILES, ids=[path.relative_to(_ROOT).as_posix() for path in _FILES])
def test_what_a_node_writes_is_on_the_volume_that_is_mounted_for_it(path: Path) -> None:
    settings = load_settings(str(path))
    folders = [settings.log.dir, settings.dead_letters.dir, settings.dedup.dir, settings.admin.dir]
    folders += [folder for sink in settings.sink for folder in sink.folders().values()]
    assert [folder for folder in folders if not folder.startswith("/var/lib/tracklog/")] == []


def test_the_health_check_of_the_image_is_a_command() -> None:
    assert "health" in [words for words, _ in COMMANDS]
