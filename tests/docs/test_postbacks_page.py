"""The guide to postbacks: the partner that it writes down is one, and its cases come out as it says."""

from __future__ import annotations

import re
from pathlib import Path

from attribune.postback import folders

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "postbacks.md"


def test_the_partner_of_the_guide_is_one_and_its_cases_hold(tmp_path: Path) -> None:
    partner, cases = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "partner.toml").write_text(partner)
    (tmp_path / "cases.toml").write_text(cases)
    folder = folders.find(str(tmp_path))
    assert len(folder.cases) == 2
    assert [folders.fails(folder, case) for case in folder.cases] == [None, None]


def test_every_shipped_partner_is_in_the_guide() -> None:
    words = PAGE.read_text()
    assert [name for name in folders.names() if f"`{name}`" not in words] == []
