"""Which offers fit is remembered; what is remembered is what would be found anew, whatever was agreed since."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

from books import ms
from hypothesis import given, settings
from hypothesis import strategies as st

from attribune.ledger import agreed as agreed_
from attribune.ledger.agreed import Agreed
from attribune.ledger.offers import read
from attribune.ledger.told import Told
from attribune.model.control import Change
from attribune.model.offer import OfferSet

PARTNERS = ("acme", "beta", None)
APPS = ("game-android", "game-ios")
COUNTRIES = ("DE", "FR", None)
PLATFORMS = ("android", "ios")
DAYS = ("2026-01-05", "2026-01-20", "2026-02-03")
MOMENTS = tuple(ms(day) + part for day in DAYS for part in (0, 1, 40_000_000))


def offer(number: int, more: str, event: str = "purchase") -> bytes:
    deal = '[[deal]]\nkind = "cpa"\namount = "1.00"\n'
    return f'id = "o{number}"\nevent = "{event}"\ncurrency = "EUR"\n{more}\n{deal}'.encode()


def line(name: str, values: tuple[str | None, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(["", *(f'{name} = "{one}"' for one in values if one)])


conditions = st.tuples(
    line("partner", PARTNERS),
    line("app", APPS),
    st.sampled_from(["", 'countries = ["DE"]', 'countries = ["DE", "FR"]']),
    st.sampled_from(["", 'platforms = ["ios"]']),
    line("valid_from", DAYS),
    line("counts", ("adjust",)),
).map("\n".join)
added = st.tuples(st.integers(0, 3), conditions, st.sampled_from(MOMENTS))


def purchase(
    partner: str | None, app: str, country: str | None, platform: str, at_ms: int, counts: str
) -> Told:
    return Told(
        key="k", revision=1, name="purchase", is_event=True, partner=partner, product="game", app=app,
        platform=platform, country=country, at_ms=at_ms, day=datetime.fromtimestamp(at_ms / 1000, UTC).date(),
        timezone="UTC", judged_at_ms=at_ms, revenue_minor=1, revenue_currency="EUR", quantity=None,
        transaction_id=None, player="p", cause="", counts=counts,
    )  # fmt: skip


#: One of every kind that offers tell apart.
EVERY = [
    purchase(*one)
    for one in product(PARTNERS, APPS, COUNTRIES, PLATFORMS, MOMENTS, ("own", "adjust"))
]


def agree(agreed: Agreed, versions: dict[int, int], number: int, more: str, at_ms: int) -> None:
    versions[number] = versions.get(number, 0) + 1
    said = OfferSet(version=versions[number], offer=read(offer(number, more)))
    agreed.apply(Change(at_ms=at_ms, record=said))


def is_as_found_anew(agreed: Agreed) -> bool:
    wanted = [one for one in EVERY if one.partner and agreed.counts(one.name)]
    return all(agreed.ways(one) == agreed._decided(one) for one in wanted)


@settings(max_examples=60)
@given(st.lists(added, min_size=1, max_size=5), added)
def test_what_is_remembered_is_what_would_be_found(before, after):
    agreed, versions = Agreed(), {}
    for one in before:
        agree(agreed, versions, *one)
    assert is_as_found_anew(agreed)
    agree(agreed, versions, *after)
    assert is_as_found_anew(agreed), "what was agreed since is heeded"


def test_no_more_kinds_are_remembered_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(agreed_, "_WAYS_MAX", 2)
    agreed = Agreed()
    agree(agreed, {}, 1, "", 0)
    for partner in ("a", "b", "c", "d", "e"):
        (fit,) = agreed.ways(purchase(partner, "app", "DE", "ios", 0, "own"))
        assert fit.terms.offer.id == "o1"
    assert len(agreed._ways) == 1
