"""What the code says of itself: the ``#:`` comments above the members of an enum or the fields of a struct."""

from __future__ import annotations

import ast
import inspect
import re
from enum import Enum
from pathlib import Path

_MARK = "#:"


def comments(kind: type) -> dict[str, str]:
    """Name of each member or field of a class, in order, with the comment above it; empty when there is none."""
    source = Path(inspect.getfile(kind)).read_text()
    lines = source.splitlines()
    found = next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    return {name: _above(lines, node.lineno - 1) for node in found.body for name in _names(node)}


def members(kind: type[Enum]) -> dict[str, tuple[str, str]]:
    """Each member's name with its value and the comment above it."""
    said = comments(kind)
    return {member.name: (str(member.value), said[member.name]) for member in kind}


def first_line(thing: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n")[0]


def markdown(text: str) -> str:
    """A comment as Markdown: our ``double ticks`` become single ones, and nothing ends a table's cell."""
    return re.sub(r"``([^`]*)``", r"`\1`", text).replace("|", "\\|")


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _above(lines: list[str], index: int) -> str:
    words: list[str] = []
    while index and lines[index - 1].strip().startswith(_MARK):
        index -= 1
        words.insert(0, lines[index].strip().removeprefix(_MARK).strip())
    return " ".join(words)
