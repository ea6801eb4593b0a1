"""What pages say of each other, of make and of commands is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tidy_docs
import typer
from tidy_tree import PROSE, files

import attribune
from attribune.cli.main import commands

ROOT = Path(__file__).parent.parent.parent
PAGES = dict(files(ROOT, *PROSE))
COMMANDS = {name for kind, name, _ in tidy_docs.documented() if kind == "command"}
NOUNS = {name.rsplit(" ", 1)[0] for name in COMMANDS}


def linked_from(path: str) -> set[str]:
    """The pages of ours that a page links to."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", PAGES[path])
    here = (ROOT / path).parent
    targets = {(here / link).resolve() for link in links if ":" not in link}
    return {str(target.relative_to(ROOT)) for target in targets if target.is_relative_to(ROOT)}


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), {"README.md"}
    while waiting:
        page = waiting.pop()
        reached.add(page)
        waiting |= {other for other in linked_from(page) if other in PAGES} - reached
    assert sorted(page for page in PAGES if page.startswith("docs/") and page not in reached) == []


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md"])
def test_the_targets_of_make_are_there(path: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    said = set(re.findall(r"(?:^|`)make ([a-z]+)", PAGES[path], re.MULTILINE))
    assert said
    assert said <= targets


@pytest.mark.parametrize("path", sorted(PAGES))
def test_the_commands_that_a_page_names_are_there(path: str) -> None:
    said = re.findall(r"(?:^|`|/)attribune ((?:[a-z]+)(?: [a-z]+)?)", PAGES[path], re.MULTILINE)
    for words in said:
        first, *second = words.split(" ")
        assert f"attribune {first}" in COMMANDS | NOUNS, words
        if second and f"attribune {first}" not in COMMANDS:
            assert f"attribune {words}" in COMMANDS, words


def test_the_flags_that_pages_for_people_name_are_there() -> None:
    known = set(_flags(typer.main.get_command(commands)))
    operate = [path for path in PAGES if path.startswith("docs/operate/")]
    for path in ("README.md", "docs/start.md", *operate):
        lines = re.sub(r"\\\n", " ", PAGES[path]).splitlines()
        called = [line for line in lines if re.search(r"(?:^|[ `(/])attribune [a-z]+", line)]
        said = {
            flag for line in called for flag in re.findall(r"(?<= )--[a-z-]+", line.split("|")[0])
        }
        assert said <= known, path


def _flags(node: object) -> list[str]:
    own = [name for parameter in getattr(node, "params", ()) for name in parameter.opts]
    return own + [
        name for child in getattr(node, "commands", {}).values() for name in _flags(child)
    ]


def test_the_changelog_begins_with_this_version() -> None:
    newest = re.search(r"^## (\S+) \(\d{4}-\d{2}-\d{2}\)$", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert newest is not None
    assert newest[1] == attribune.__version__
