"""Runs the checks that need no test: each by its name, all of them, and says at the end which failed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
CHECKS = {
    "format (mend with: ruff format)": ["ruff", "format", "--check", "."],
    "lint (ruff)": ["ruff", "check", "."],
    "types (mypy)": ["mypy"],
    "import rules (import-linter)": ["lint-imports"],
}


def main() -> int:
    """Run every check; 0 when all pass."""
    failed = []
    for name, command in CHECKS.items():
        tool = BIN / command[0]
        if not tool.exists():
            print(f"check: {command[0]} is missing from {BIN}; run `make clean test`")
            return 1
        begun = time.monotonic()
        done = subprocess.run([tool, *command[1:]], capture_output=True, text=True, check=False)
        print(
            f"{'ok  ' if done.returncode == 0 else 'FAIL'} {name}  {time.monotonic() - begun:.1f} s",
            flush=True,
        )
        if done.returncode:
            failed.append(name)
            print(done.stdout + done.stderr)
    if failed:
        print(f"check: {len(failed)} of {len(CHECKS)} failed: {'; '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
