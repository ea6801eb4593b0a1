"""Shadow mode: our own decisions beside another measurement partner's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Final

from litestar import get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from attribune.api.here import Here
from attribune.api.house import House
from attribune.model.activity import Vendor
from attribune.model.calendar import calendar
from attribune.model.codec import decode
from attribune.model.errors import Invalid
from attribune.model.outcome import Outcome
from attribune.model.position import Topic
from attribune.registry import find
from attribune.report.shadow import HOUR_MS, Disagreement, Wanted, compare

#: Disagreements of one answer.
LISTED_MAX: Final = 10_000
_TOLERANCE_H_MAX: Final = 24 * 31
_FAR_MS: Final = 2**62
_ENTRIES_MAX: Final = 5000

Day = Annotated[str | None, QueryParameter(description="A day of the product, such as 2026-03-01.")]


class Compared(Struct, frozen=True, kw_only=True):
    """How two decide about the same installs."""

    agree: int
    disagree: int
    only_here: int
    only_there: int
    by_reason: dict[str, int]
    disagreements: list[Disagreement]
    #: Entries of the journal that are not judged yet.
    lag: int


class ShadowAnswer(Struct, frozen=True):
    """One comparison."""

    shadow: Compared


@get("/api/shadow", sync_to_thread=True)
def shadow(
    house: Here,
    app: FromQuery[str],
    against: FromQuery[Vendor],
    first_day: Day = None,
    last_day: Day = None,
    tolerance_h: FromQuery[int] = 48,
    limit: FromQuery[int] = 100,
) -> ShadowAnswer:
    """Compare our installs with those that a vendor told of, and say why each differs."""
    if not 0 <= tolerance_h <= _TOLERANCE_H_MAX:
        raise Invalid(f"tolerance_h is 0 to {_TOLERANCE_H_MAX} hours", param="tolerance_h")
    if not 0 <= limit <= LISTED_MAX:
        raise Invalid(f"limit is 0 to {LISTED_MAX}", param="limit")
    registry = house.up_to_date()
    found = find.app(registry, app)
    product = registry.product(found.product)
    days = calendar(product.timezone if product else "UTC")
    first, last = _day(first_day, "first_day"), _day(last_day, "last_day")
    wanted = Wanted(
        product=found.product,
        app=found.id,
        vendor=against,
        from_ms=days.starts_at_ms(first) if first else 0,
        to_ms=days.ends_at_ms(last) if last else _FAR_MS,
        tolerance_ms=tolerance_h * HOUR_MS,
        listed_max=limit,
    )
    house.keeper.settle()
    made = compare(_outcomes(house), wanted)
    return ShadowAnswer(
        Compared(
            agree=made.agree,
            disagree=made.disagree,
            only_here=made.only_here,
            only_there=made.only_there,
            by_reason=made.by_reason,
            disagreements=made.disagreements,
            lag=house.keeper.lag(),
        )
    )


def _day(text: str | None, param: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid(f"{param} is a day such as 2026-03-01, not {text!r}", param=param) from None


def _outcomes(house: House) -> Iterator[Outcome]:
    """Every outcome that is kept, in the journal's order."""
    after = house.journal.start()
    while batch := house.journal.read((Topic.OUTCOMES,), after, _ENTRIES_MAX):
        for entry in batch:
            yield decode(entry)  # type: ignore[misc]  # of this topic
        after = batch[-1].position


HANDLERS = (shadow,)
