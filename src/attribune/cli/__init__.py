"""The command line: one file per noun, each command a client of the API."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the arguments name, and end with its exit code."""
    from attribune.cli.main import run  # noqa: PLC0415  # so that importing the package stays free

    sys.exit(run(sys.argv[1:]))
