"""Pages that the code writes are as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

import fill
import pytest
import said

import docs
from attribune.collect.means import Counters
from attribune.model.policy import Policy, Windows
from attribune.model.refusal import RefusalReason

ROOT = Path(__file__).parent.parent.parent
RULES = (ROOT / "docs/concepts/attribution.md").read_text()


@pytest.mark.parametrize("name", sorted(docs.PAGES))
def test_the_page_is_not_stale(name: str) -> None:
    assert (ROOT / name).read_text() == docs.PAGES[name](), f"{name} is stale; run `make docs`"


@pytest.mark.parametrize("kind", fill.CHOICES, ids=lambda kind: kind.__name__)
def test_every_choice_says_what_it_means(kind: type) -> None:
    assert [name for name, (_, words) in said.members(kind).items() if not words] == []


@pytest.mark.parametrize("kind", [Policy, Windows, Counters], ids=lambda kind: kind.__name__)
def test_every_rule_and_counter_says_what_it_means(kind: type) -> None:
    assert [name for name, words in said.comments(kind).items() if not words] == []


def test_a_comment_of_several_lines_is_one_sentence() -> None:
    assert said.comments(_Told) == {"one": "First half, second half.", "two": "", "three": "Third."}


class _Told:
    #: First half,
    #: second half.
    one: int = 1
    # no meaning
    two = 2
    #: Third.
    three = 3


@pytest.mark.parametrize("name", re.findall(r"^```text (.+)$", RULES, re.MULTILINE))
def test_a_quoted_journey_is_one_that_is_tested(name: str) -> None:
    quotes = re.findall(rf"^```text {re.escape(name)}\n(.*?)^```$", RULES, re.DOTALL | re.MULTILINE)
    assert quotes == [(ROOT / "tests/journeys" / name).read_text()]


def test_a_changed_quote_and_a_changed_list_are_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "ROOT", tmp_path)
    begin, end = "<!-- presets: written by `make docs` -->", "<!-- end of presets -->"
    (tmp_path / "page.md").write_text(
        f"# A\n\n```text claim.txt\nold\n```\n\n{begin}\nold\n{end}\n\nZ\n"
    )
    story = (ROOT / "tests/journeys/claim.txt").read_text()
    assert (
        fill.filled("page.md")
        == f"# A\n\n```text claim.txt\n{story}```\n\n{begin}\n\n{fill.presets()}\n\n{end}\n\nZ\n"
    )


def test_stale_pages_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        docs, "PAGES", {"docs/reference/none.md": lambda: "x", "LICENSE": lambda: "another"}
    )
    assert docs.main(["--check"]) == 1
    told = capsys.readouterr().out
    assert "docs/reference/none.md is not as the code has it" in told
    assert "LICENSE is not as the code has it" in told
    assert not (ROOT / "docs/reference/none.md").exists()


def test_reasons_behind_the_journal_and_at_the_door_are_told_apart() -> None:
    page = (ROOT / "docs/reference/refusal-reasons.md").read_text()
    door, behind = page.split("## Behind the journal")
    assert f"`{RefusalReason.MALFORMED}`" in door
    assert f"`{RefusalReason.NO_CONSENT}`" in behind
    for reason in RefusalReason:
        assert (f'id="{reason}"' in door) != (f'id="{reason}"' in behind)
