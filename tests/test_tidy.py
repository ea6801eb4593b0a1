"""Tidy finds each kind of what is never right, and the checkout has none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tidy
import tidy_docs
from tidy_tree import Complaint

ROOM = "src/attribune/attribute/rank.py"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Plants files by path; nothing is allowed in the planted tree."""
    for table in ("WORLD_ALLOWED", "UNIMPORTED_ALLOWED", "LONG_ALLOWED", "UNUSED_ALLOWED"):
        monkeypatch.setattr(tidy, table, {})

    def plant(texts: dict[str, str]) -> Path:
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return plant


def told(check: Callable[[Path], Iterator[Complaint]], root: Path) -> list[str]:
    return [str(complaint) for complaint in check(root)]


def test_the_checkout_is_tidy() -> None:
    found = tidy.complaints()
    assert not found, "\n" + "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import time\nx = time.time()", "time.time"),
        ("import time as t\nx = t.monotonic_ns()", "time.monotonic_ns"),
        ("from time import sleep as rest\nrest(1)", "time.sleep"),
        ("from datetime import UTC, datetime\nx = datetime.now(UTC)", "datetime.datetime.now"),
        ("import datetime\nx = datetime.date.today()", "datetime.date.today"),
        ("import random\nx = random.random()", "random.random"),
        (
            "def f():\n    from secrets import token_hex\n    return token_hex()",
            "secrets.token_hex",
        ),
        ("import os\nx = os.urandom(8)", "os.urandom"),
        ("import os\nx = os.environ['HOME']", "os.environ"),
        ("from os import getenv\nx = getenv('HOME')", "os.getenv"),
        ("import uuid\nx = uuid.uuid4()", "uuid.uuid4"),
        ("from time import monotonic\nclock = monotonic", "time.monotonic"),
    ],
)
def test_clock_chance_and_environment_are_found_under_any_name(
    tree: Callable[..., Path], source: str, name: str
) -> None:
    found = told(tidy.check_world, tree({ROOM: source}))
    line = len(source.split("\n"))
    assert found == [
        f"{ROOM}:{line}: reads {name}; take it as an argument, or let an engine read it"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "def f(time):\n    return time.time()",
        "from datetime import datetime\nx = datetime.fromtimestamp(0)",
        "import os\nx = os.getpid()",
        "import uuid\nx = uuid.UUID(int=0)",
    ],
)
def test_what_only_looks_like_the_world_is_no_complaint(
    tree: Callable[..., Path], source: str
) -> None:
    assert told(tidy.check_world, tree({ROOM: source})) == []


def test_engines_commands_and_settings_may_read_the_world(tree: Callable[..., Path]) -> None:
    source = "import time\nx = time.time()"
    places = ("engines/system.py", "cli/serve.py", "settings.py")
    assert (
        told(tidy.check_world, tree({f"src/attribune/{place}": source for place in places})) == []
    )


def test_an_allowance_that_nothing_needs_is_found(
    tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy, "WORLD_ALLOWED", {(ROOM, "time.time"): "once it did"})
    assert "which nothing needs" in told(tidy.check_world, tree({ROOM: "x = 1"}))[0]


@pytest.mark.parametrize(
    "path", ["src/attribune/utils/a.py", "src/attribune/report/helpers.py", "src/attribune/core.py"]
)
def test_rooms_for_odds_and_ends_are_found(tree: Callable[..., Path], path: str) -> None:
    [found] = told(tidy.check_names, tree({path: ""}))
    assert found.startswith(f"{path}:1: a room called")


def test_long_files_and_functions_are_found(tree: Callable[..., Path]) -> None:
    body = "    x = 1\n" * tidy.FUNCTION_LINES_MAX
    root = tree({ROOM: f"\ndef f():\n{body}" + "y = 1\n" * tidy.FILE_LINES_MAX})
    lines = 2 + tidy.FUNCTION_LINES_MAX + tidy.FILE_LINES_MAX
    assert told(tidy.check_sizes, root) == [
        f"{ROOM}:1: has {lines} lines, more than {tidy.FILE_LINES_MAX}; split it",
        f"{ROOM}:2: f has {tidy.FUNCTION_LINES_MAX + 1} lines, more than {tidy.FUNCTION_LINES_MAX}",
    ]


def test_what_is_just_short_enough_is_no_complaint(tree: Callable[..., Path]) -> None:
    body = "    x = 1\n" * (tidy.FUNCTION_LINES_MAX - 1)
    rest = tidy.FILE_LINES_MAX - tidy.FUNCTION_LINES_MAX
    assert told(tidy.check_sizes, tree({ROOM: f"def f():\n{body}" + "y = 1\n" * rest})) == []


@pytest.mark.parametrize("mark", ["FIX" + "ME", "TO" + "DO", "XX" + "X"])
def test_leftovers_are_found_in_comments_and_prose(tree: Callable[..., Path], mark: str) -> None:
    root = tree({ROOM: f"x = 1  # {mark} later\n", "docs/a.md": f"# A\n\n{mark}: write this\n"})
    found = told(tidy.check_leftovers, root)
    assert [line.split(": ")[0] for line in found] == [f"{ROOM}:1", "docs/a.md:3"]


def test_a_leftover_word_in_a_text_of_the_program_is_none(tree: Callable[..., Path]) -> None:
    assert told(tidy.check_leftovers, tree({ROOM: 'CODE = "XX' + 'X"\n'})) == []


@pytest.mark.parametrize("path", [ROOM, "docs/a.md", "Makefile"])
def test_places_of_a_machine_are_found(tree: Callable[..., Path], path: str) -> None:
    place = "/ho" + "me/someone/attribune"
    [found] = told(tidy.check_machine_paths, tree({path: f"# see {place}\n"}))
    assert found.startswith(f"{path}:1: names /ho" + "me/someone")


def test_an_address_on_the_web_is_no_place_of_a_machine(tree: Callable[..., Path]) -> None:
    assert (
        told(tidy.check_machine_paths, tree({ROOM: "# https://example.com/ho" + "me/page\n"})) == []
    )


def test_a_module_that_nothing_imports_is_found(tree: Callable[..., Path]) -> None:
    root = tree(
        {
            "src/attribune/__init__.py": "",
            "src/attribune/used.py": "from attribune import also_used\n",
            "src/attribune/also_used.py": "from attribune.used import x\n",
            "src/attribune/lonely.py": "",
        }
    )
    assert told(tidy.check_imports, root) == [
        "src/attribune/lonely.py:1: nothing in the package imports it; use it or take it out"
    ]


def test_declared_and_never_used_is_found(tree: Callable[..., Path]) -> None:
    settings = "class Settings:\n    used: int = 1\n    idle: int = 2\n"
    reasons = 'class RefusalReason:\n    GIVEN = "given"\n    NEVER = "never"\n'
    root = tree(
        {
            "src/attribune/settings.py": settings,
            "src/attribune/refusal.py": reasons,
            "src/attribune/a.py": "x = settings.used\ny = RefusalReason.GIVEN\nz = {RefusalReason.NEVER: 429}\n",
        }
    )
    assert told(tidy.check_declared, root) == [
        "src/attribune/refusal.py:3: no code uses the refusal reason NEVER; take it out",
        "src/attribune/settings.py:3: no code uses the setting idle; take it out",
    ]


@pytest.mark.parametrize(
    "kind", ["setting", "command", "metric", "dimension", "refusal reason", "loss reason"]
)
def test_every_kind_of_name_is_asked_of_the_docs(kind: str) -> None:
    assert kind in {found for found, _, _ in tidy_docs.documented()}


def test_a_name_that_its_page_does_not_say_is_found(tree: Callable[..., Path]) -> None:
    page = "docs/reference/settings.md"
    root = tree({page: "# Settings\n\n## poll_ms\n\nAlso `tick_ms`; in passing drain_ms.\n"})
    named = {
        name: list(map(str, tidy_docs.not_named(root, "setting", name, page)))
        for name in ("poll_ms", "tick_ms", "drain_ms")
    }
    assert named["poll_ms"] == named["tick_ms"] == []
    assert named["drain_ms"][0].startswith(f"{page}:1: does not name the setting drain_ms")


def test_a_page_that_is_not_there_names_nothing(tree: Callable[..., Path]) -> None:
    assert told(
        lambda root: tidy_docs.not_named(root, "metric", "clicks", "docs/none.md"), tree({})
    )


def test_links_that_lead_nowhere_are_found(tree: Callable[..., Path]) -> None:
    text = (
        "# A page\n\n[one](b.md) [two](b.md#the-words) [three](#a-page) [web](https://example.com)\n"
        "[four](c.md)\n[five](b.md#no-such)\n![six](d.svg)\n`[seven](e.md)`\n```\n[eight](f.md)\n```\n"
        '<img src="g.svg">\n[nine](b.md#not_found)\n'
    )
    root = tree({"docs/a.md": text, "docs/b.md": '# The words\n\n<a id="not_found"></a>\n'})
    assert told(tidy_docs.check_links, root) == [
        "docs/a.md:4: links to c.md, and there is no such file",
        "docs/a.md:5: links to b.md#no-such, and there is no such heading",
        "docs/a.md:6: links to d.svg, and there is no such file",
        "docs/a.md:11: links to g.svg, and there is no such file",
    ]


def test_a_dependency_that_is_not_pinned_is_found(tree: Callable[..., Path]) -> None:
    said = '[project]\ndependencies = ["a==1.0", "b>=2", "c"]\n[dependency-groups]\ndev = ["d[x]==1", "e~=3.1"]\n'
    found = told(tidy.check_dependencies, tree({"pyproject.toml": said}))
    assert [line.split(": ")[1].split(" ")[0] for line in found] == ["b>=2", "c", "e~=3.1"]


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        (
            "tests/journeys/a.txt",
            "day 0 09:00  open\n    => install organic\n",
            "begins with no sentence",
        ),
        ("tests/journeys/a.txt", "An open.\n\n    day 0 09:00  open\n", "does not say how it ends"),
        ("tests/journeys/a.md", "An open.\n\n    => install organic\n", "no test reads it"),
        ("tests/journeys/old/a.txt", "An open.\n\n    => install organic\n", "no test reads it"),
    ],
)
def test_a_journey_that_promises_nothing_is_found(
    tree: Callable[..., Path], path: str, text: str, what: str
) -> None:
    [found] = told(tidy.check_journeys, tree({path: text}))
    assert found.startswith(f"{path}:1: {what}")
