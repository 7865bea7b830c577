"""Where the SDKs are, how their programs are started, and what is missing on this machine."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests import chromium
from tests.clients.sdks import Sdk

_HERE = Path(__file__).parent
_BUILD = _HERE.parents[1] / "build/clients"
PROGRAMS = _HERE / "programs"
MODULES = _HERE / "node_modules"
PYTHON = _BUILD / "python/bin/python"
JARS = _BUILD / "jars"
_PATIENCE_SECONDS = 100.0


def missing(sdk: Sdk) -> str:
    """Why the program of an SDK cannot run here; empty if it can."""
    if sdk.is_of_pages and chromium.WHOLE is None:
        return chromium.MISSING
    if sdk.program.endswith(".py"):
        return _unless(PYTHON)
    if sdk.program.endswith(".java"):
        return _unless_installed("javac", "default-jdk-headless") or _unless(JARS / "installed")
    return _unless_installed("node", "nodejs") or _unless(MODULES / "installed")


def command(sdk: Sdk, host: str) -> list[str]:
    """The command that runs the program of an SDK for servers against the collector at `host`."""
    program = str(PROGRAMS / sdk.program)
    arguments = [program, host, sdk.key, *([sdk.mode] if sdk.mode else [])]
    if sdk.program.endswith(".py"):
        return [str(PYTHON), *arguments]
    if sdk.program.endswith(".java"):
        return ["java", "-cp", f"{JARS}/*", *arguments]
    return ["node", *arguments]


def run(sdk: Sdk, host: str) -> dict[str, Any]:
    """Run the program of an SDK for servers to its end; returns what it reported."""
    done = subprocess.run(command(sdk, host), capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    last = done.stdout.strip().rpartition("\n")[2]
    if not last.startswith("{"):
        return {"errors": [f"exit {done.returncode}", done.stdout, done.stderr]}
    report: dict[str, Any] = json.loads(last)
    return report


def bundle(folder: Path) -> None:
    """Bundle each program for pages, with the SDK that it imports, into `folder`."""
    programs = sorted(map(str, PROGRAMS.glob("*_browser.mjs")))
    esbuild = [str(MODULES / ".bin/esbuild"), *programs, "--bundle", "--format=esm", "--log-level=error"]
    subprocess.run([*esbuild, f"--outdir={folder}"], check=True)


def _unless(path: Path) -> str:
    return "" if path.exists() else f"{path.name} is not there; run make test-clients"


def _unless_installed(program: str, package: str) -> str:
    return "" if shutil.which(program) else f"{program} is not installed; on Debian: apt-get install {package}"
