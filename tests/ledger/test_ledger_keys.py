"""An outcome and the fact that is made of it are known to the book by the same key."""

from __future__ import annotations

from datetime import date

import pytest

from attribune.ledger.told import key_of_fact
from attribune.model.book import outcome_key
from attribune.model.fact import Fact, FactKind
from attribune.model.ids import ConversionId, Position, ProductId, RecordId

DAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("kind", "word", "id_"),
    [
        (FactKind.INSTALL, "conversion", "c1"),
        (FactKind.REENGAGEMENT, "conversion", "c1"),
        (FactKind.EVENT, "event", "r1"),
        (FactKind.FOREIGN_EVENT, "foreign", "r1"),
        (FactKind.FOREIGN_INSTALL, "foreign", "r1"),
    ],
)
def test_a_fact_leads_to_its_outcome(kind: FactKind, word: str, id_: str) -> None:
    fact = Fact(
        position=Position(1), ordinal=0, kind=kind, at_ms=0, received_at_ms=0,
        day=DAY, own_day=DAY, about=Position(1), product=ProductId("game"), record=RecordId("r1"),
        conversion=ConversionId("c1"),
    )  # fmt: skip
    assert key_of_fact(fact) == outcome_key("game", word, id_)
