"""The tree that tidy reads: its files by sort, their syntax, and what a complaint is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = "src/attribune"


class Complaint(NamedTuple):
    """One thing that is not right."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a source."""
    return ast.parse(text)


def files(root: Path, *patterns: str) -> Iterator[tuple[str, str]]:
    """Path and text of every file that fits."""
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix(), path.read_text("utf-8")


#: Sources, prose, and the rest that is text.
PYTHON = ("src/**/*.py", "tests/**/*.py", "scripts/*.py", "demo/**/*.py", "bench/**/*.py")
PROSE = ("*.md", "docs/**/*.md", "demo/**/*.md", "bench/**/*.md")
OTHER = ("Makefile", "pyproject.toml", ".ci/*", "tests/journeys/**/*", "docs/**/*.svg")
