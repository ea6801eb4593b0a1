"""The pages of this room are held to what they speak of."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_dependency_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {re.split(r"[=<>\[ ]", line)[0] for line in project["dependencies"]}
    page = (ROOT / "docs/internals/dependencies.md").read_text()
    assert set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)) == pinned


def test_every_engine_is_on_its_page():
    page = (ROOT / "docs/internals/engines.md").read_text()
    journal = (ROOT / "docs/internals/journal.md").read_text()
    for file in (ROOT / "src/attribune/engines").glob("[a-z]*.py"):
        classes = re.findall(r"^class ([A-Z]\w+?)(?:\(.*)?:$", file.read_text(), re.MULTILINE)
        for name in classes:
            if name.startswith(("Memory", "System", "Lmdb", "Rocks", "Sql", "Clickhouse", "Ua")):
                assert f"`{name}`" in page, f"{name} of {file.name}"
    assert "CommitBuffer" in journal
