"""What an older version remembered is read: fields that came later are at the end, and have values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ledger.books import Books

from attribune.ledger.known import Undoing
from attribune.ledger.told import Told, told
from attribune.model.book import Line


def line() -> Line:
    books = Books()
    books.offer(
        'id = "x"\nevent = "e"\ncurrency = "EUR"\n[[deal]]\nkind = "cpa"\namount = "1.00"\n'
    )
    books.event("e", "e")
    return books.lines()[0]


@pytest.mark.parametrize(
    ("record", "since"),
    [
        (line(), 1),
        (told(Books().of_event("e", "purchase", "10"), "UTC"), 3),
        (Undoing("k", "refund", 1, None, "EUR", "player"), 4),
    ],
    ids=["line", "held", "undoing"],
)
def test_what_an_older_version_wrote_is_read(record: Any, since: int) -> None:
    kind: type[Line | Told | Undoing] = type(record)
    older = msgspec.msgpack.decode(msgspec.msgpack.encode(record))[:-since]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(older), type=kind) == record
