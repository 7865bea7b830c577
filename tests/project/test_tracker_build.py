"""The built tracker in the repository is what its source builds, fits in 4 KB, and is a package that others can use."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from wal import __version__

WEB = Path(__file__).parents[2] / "collector/web"
DIST = WEB / "dist"
MOST_BYTES = 4096
_USER = """
import { consent, flush, identify, init, page, reset, stats, track, type Consent, type Options } from 'tracklog'
const options: Options = { url: 'https://c.example.com/event', id: 'shop', consent: 'pending', pages: true,
  onDrop: (event, why) => console.log(event.ea, why) }
init(options)
const id: string | null = track({ ea: 'view', ec: 'product', items: [{ id: 1 }] })
track('view', 'product', { dims: {} })
page(); identify(id); reset()
const choice: Consent = 'granted'
consent(choice)
const isSent: Promise<boolean> = flush()
const lost: number = stats().lost
// @ts-expect-error a consent that does not exist
consent('maybe')
console.log(isSent, lost)
"""
needs_npm = pytest.mark.skipif(
    not (WEB / "node_modules/installed").exists(),
    reason="the tracker's tools are not installed; with npm: make collector/web/node_modules/installed",
)


@needs_npm
def test_the_built_files_are_what_the_source_builds(tmp_path: Path) -> None:
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=WEB, check=True, capture_output=True)
    names = sorted(path.name for path in DIST.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    differing = [name for name in names if (tmp_path / name).read_bytes() != (DIST / name).read_bytes()]
    assert not differing, "run `make tracker` and commit collector/web/dist"


def test_the_script_fits_in_4096_bytes_of_gzip() -> None:
    assert len(gzip.compress((DIST / "t.js").read_bytes(), 9, mtime=0)) <= MOST_BYTES


def test_the_package_has_the_version_of_the_collector() -> None:
    assert json.loads((WEB / "package.json").read_text())["version"] == __version__


def test_the_script_calls_nothing_that_a_strict_policy_forbids() -> None:
    script = (DIST / "t.js").read_text()
    assert not [name for name in ("eval(", "Function(", "innerHTML", "document.write", "import(") if name in script]


@needs_npm
def test_the_package_holds_the_built_files_alone(tmp_path: Path) -> None:
    packed = subprocess.run(["npm", "pack", "--dry-run", "--json"], cwd=WEB, check=True, capture_output=True).stdout
    names = {each["path"] for each in json.loads(packed)[0]["files"]}
    assert names == {"package.json", "README.md", *(f"dist/{path.name}" for path in DIST.iterdir())}


@needs_npm
@pytest.mark.parametrize(("module", "resolution"), [("NodeNext", "NodeNext"), ("ESNext", "Bundler")])
def test_the_types_serve_a_program_in_typescript(tmp_path: Path, module: str, resolution: str) -> None:
    package = tmp_path / "node_modules/tracklog"
    package.mkdir(parents=True)
    shutil.copy(WEB / "package.json", package)
    shutil.copytree(DIST, package / "dist")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "user.ts").write_text(_USER)
    flags = ["--noEmit", "--strict", "--module", module, "--moduleResolution", resolution, "--target", "ES2022"]
    compiler = WEB / "node_modules/.bin/tsc"
    told = subprocess.run([compiler, *flags, "user.ts"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout
