"""What goes out for a row: nothing that a person does not share, nothing that is somebody else's."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from posthouse import NOW_MS, PostHouse, credit, event, install, postback
from test_postback_fold import say_consent

from attribune.collect.links import read_touch
from attribune.model.control import Partner, PartnerKind
from attribune.model.delivery import Settled
from attribune.model.ids import (
    DeviceId,
    PartnerId,
    Position,
    PostbackId,
    ProductId,
    RecordId,
)
from attribune.model.money import Money
from attribune.model.outcome import Cause, Forgets, Noted, Source
from attribune.model.position import Entry, Topic
from attribune.postback import looking
from attribune.postback.folders import find_shipped
from attribune.postback.looking import Looking
from attribune.postback.outgoing import Outgoing, Outgoings, spoken
from attribune.registry.view import Registry

URL = "https://acme.example/pb?c={partner_click_id}&m={campaign}&d={device_id}&s={source}&p={partner}&x={transaction_id}"
SHARING = find_shipped("generic-get").text.replace(
    'title = "Any server that takes a GET"',
    'title = "Any"\nwithout_sharing = "campaign"',
)


def going(house: PostHouse) -> list[Outgoing | Settled]:
    """What becomes of every row that waits, by its own postback."""
    house.fold()
    registry: Registry = house.role._registry
    looking = Looking(house.journal, registry, house.outbox, read_touch)
    makes = Outgoings(house.outbox, registry, looking)
    found: list[Outgoing | Settled] = []
    for one in registry.every_postback():
        rows = house.outbox.due(one.id, NOW_MS + 10**9, 100, in_order=False)
        found += makes.of(rows, spoken(one, house.vault), NOW_MS)
    return found


def urls(house: PostHouse) -> list[str]:
    return [one.request.url if isinstance(one, Outgoing) else one.reason for one in going(house)]


def test_of_who_does_not_share_the_partner_hears_as_much_as_its_data_allows() -> None:
    nothing = postback(URL)
    house = PostHouse(nothing, postback(URL, id=PostbackId("acme-2"), data=SHARING))
    say_consent(house, sharing=False)
    house.decide(install(credit=credit(campaign="spring")), install("d2"))
    assert urls(house) == [
        "the person does not share, and the partner is then told nothing",
        "https://acme.example/pb?c=acme-click&d=d2&s=attributed&p=acme",
        "https://acme.example/pb?m=spring&s=attributed&p=acme",
        "https://acme.example/pb?c=acme-click&d=d2&s=attributed&p=acme",
    ]


def test_who_withdraws_before_it_is_told_is_heeded() -> None:
    house = PostHouse(postback(URL))
    house.decide(install())
    house.fold()
    say_consent(house, sharing=False)
    (found,) = going(house)
    assert isinstance(found, Settled)
    assert "does not share" in found.reason


def test_of_who_does_not_share_with_one_partner_the_others_hear_all_the_same() -> None:
    zeta = postback(URL, id=PostbackId("zeta-1"), partner=PartnerId("zeta"))
    house = PostHouse(postback(URL), zeta, everything())
    say_consent(house, shares=True, partners={"acme": False, "unknown": False})
    house.decide(install(), install("d2"), event("e1", "d1", credit=credit("zeta")))
    silent = "the person does not share, and the partner is then told nothing"
    told = ["acme-click&d=d1", "acme-click&d=d2", "zeta-click&d=d1"]
    everybodys = [f"https://acme.example/pb?c={one}&s=attributed&p={one[:4]}" for one in told]
    assert urls(house) == [silent, everybodys[1], everybodys[2], *everybodys]
    say_consent(house, shares=True, partners={"acme": True})
    assert urls(house) == [everybodys[0], everybodys[1], everybodys[2], *everybodys]
    say_consent(house, shares=False, partners={"acme": True})
    assert urls(house)[0] == silent, "a no to sharing stands above a yes to one"


OWN = {"template": "webhook", "settings": {"url": "https://own.example/"}}


def own_systems(house: PostHouse) -> list[str | None]:
    """Why each row is not told of to own systems, None of one that is."""
    return [one.reason if isinstance(one, Settled) else None for one in going(house)]


NOT_MEASURED = "the person does not want to be measured"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([{"sharing": False, "shares": False}], None),
        ([{"measurement": False, "shares": False}], NOT_MEASURED),
        ([{"measurement": False, "shares": False}, {"measurement": True, "shares": True}], None),
        ([{"measurement": False, "shares": False}, {"sharing": False, "shares": False}], NOT_MEASURED),
        (
            [
                {"measurement": False, "shares": False},
                {"measurement": True, "sharing": False, "shares": False},
            ],
            None,
        ),
        (
            [
                {"measurement": False, "shares": False},
                {"measurement": True, "shares": False, "late_ms": 120_000},
            ],
            NOT_MEASURED,
        ),
        ([{"measurement": False}], NOT_MEASURED),
        ([{"measurement": False}, {"measurement": True}], None),
        ([{"sharing": False}], None),
    ],
)  # fmt: skip
def test_own_systems_hear_of_who_does_not_share_and_not_of_who_is_not_measured(
    said: list[dict[str, Any]], why: str | None
) -> None:
    house = PostHouse(postback(id=PostbackId("own-1"), partner=None, **OWN))
    house.decide(install())
    for words in said:
        say_consent(house, **words)
    assert own_systems(house) == [why]


def test_a_partners_no_does_not_silence_own_systems() -> None:
    house = PostHouse(postback(id=PostbackId("own-1"), **OWN))
    say_consent(house, shares=True, partners={"acme": False})
    house.decide(install())
    assert own_systems(house) == [None]


def test_own_systems_hear_nothing_more_of_the_forgotten() -> None:
    house = PostHouse(postback(id=PostbackId("own-1"), partner=None, **OWN))
    say_consent(house, sharing=False, shares=False)
    house.decide(install())
    house.fold()
    noted = Noted(product=ProductId("game"), position=Position(0), about=Position(0), judged_at_ms=NOW_MS, record=RecordId("f"), record_type="forget", forgets=Forgets(devices=(DeviceId("d1"),)))  # fmt: skip
    house.decide(noted)
    house.fold()
    assert own_systems(house) == ["the person was forgotten"]


def everything(data: str | None = None) -> Any:
    words = {"id": PostbackId("all-1"), "partner": None}
    return postback(URL, **words, **({"data": data} if data else {}))


def test_own_systems_hear_of_everything_by_its_name() -> None:
    own = find_shipped("generic-get").text.replace(
        "[settings.url]", "own_systems = true\n[settings.url]", 1
    )
    house = PostHouse(everything(own))
    house.say(Partner(id=PartnerId("meta"), name="meta", kind=PartnerKind.SELF_ATTRIBUTING))
    house.decide(install(credit=credit("meta", campaign="spring")))
    house.decide(install("d2", credit=None, source=Source.ORGANIC))
    assert urls(house) == [
        "https://acme.example/pb?c=meta-click&m=spring&d=d1&s=attributed&p=meta",
        "https://acme.example/pb?d=d2&s=organic",
    ]


def test_others_hear_restricted_of_a_self_attributing_network_s_and_never_organic() -> None:
    house = PostHouse(everything())
    house.say(Partner(id=PartnerId("meta"), name="meta", kind=PartnerKind.SELF_ATTRIBUTING))
    house.decide(
        install(credit=credit("meta", campaign="spring")),
        install("d2", credit=credit(campaign="summer")),
        install("d3", credit=None, source=Source.ORGANIC),
        event("e4", "d4", credit=None, source=Source.UNKNOWN, transaction_id="t"),
    )
    assert urls(house) == [
        "https://acme.example/pb?s=restricted",
        "https://acme.example/pb?c=acme-click&m=summer&d=d2&s=attributed&p=acme",
        "https://acme.example/pb?s=organic",
        "https://acme.example/pb?s=unknown",
    ]


def test_a_correction_is_told_to_each_side_with_its_own_words() -> None:
    zeta = postback(URL, id=PostbackId("zeta-1"), partner=PartnerId("zeta"))
    house = PostHouse(postback(URL, id=PostbackId("acme-1")), zeta, everything())
    why = Cause(kind="person", position=Position(9))
    (place,) = house.decide(
        install(revision=2, credit=credit("zeta"), previous=credit(), cause=why)
    )
    assert place
    assert urls(house) == [
        "https://acme.example/pb?c=acme-click&d=d1&s=attributed&p=acme",
        "https://acme.example/pb?c=zeta-click&d=d1&s=attributed&p=zeta",
        "https://acme.example/pb?c=zeta-click&d=d1&s=attributed&p=zeta",
    ]


def test_what_was_pruned_meanwhile_is_given_up_with_that_reason() -> None:
    house = PostHouse(postback(URL))
    house.decide(event("e1", transaction_id="t", revenue=Money(amount_minor=5, currency="EUR")))
    house.fold()
    house.decide(event("r1", name="refund", transaction_id="t"))
    house.fold()
    kept, walked = house.journal.get, house.journal.read

    def is_pruned(entry: Entry) -> bool:
        return entry.topic is Topic.OUTCOMES and b"refund" not in entry.payload

    def pruned(topic: Topic, position: Position) -> Any:
        entry = kept(topic, position)
        return None if entry is None or is_pruned(entry) else entry

    def left(topics: Any, after: Position, limit: int) -> list[Entry]:
        return [entry for entry in walked(topics, after, limit) if not is_pruned(entry)]

    house.journal.get = pruned  # type: ignore[method-assign]
    house.journal.read = left  # type: ignore[method-assign]
    reasons = []
    for one in going(house):
        assert isinstance(one, Settled)
        reasons.append(one.reason)
    assert len(reasons) == 1, "the refund waits for what it undoes"
    assert "is no longer in the journal" in reasons[0]


def test_only_what_a_request_needs_is_looked_up() -> None:
    house = PostHouse(postback(URL))
    house.decide(install())
    asked: list[Topic] = []
    kept, walked = house.journal.get, house.journal.read

    def noted(topic: Topic, position: Position) -> Any:
        asked.append(topic)
        return kept(topic, position)

    def noted_walk(topics: Any, after: Position, limit: int) -> list[Entry]:
        asked.extend(topics)
        return walked(topics, after, limit)

    house.journal.get = noted  # type: ignore[method-assign]
    house.journal.read = noted_walk  # type: ignore[method-assign]
    assert len(urls(house)) == 1
    assert Topic.OUTCOMES in asked
    assert not {Topic.ACTIVITY, Topic.TOUCHES} & set(asked)


def test_what_was_sent_before_is_not_kept_twice() -> None:
    house = PostHouse(postback(URL))
    house.decide(install())
    (first,) = going(house)
    assert isinstance(first, Outgoing)
    assert first.shown is not None
    row = msgspec.structs.replace(first.row, request=first.shown)
    registry = house.role._registry
    looking = Looking(house.journal, registry, house.outbox, read_touch)
    makes = Outgoings(house.outbox, registry, looking)
    (one,) = registry.every_postback()
    (again,) = makes.of([row], spoken(one, house.vault), NOW_MS)
    assert isinstance(again, Outgoing)
    assert again.shown is None


def test_what_was_decided_just_now_is_not_read_again_and_is_found_all_the_same_later() -> None:
    house = PostHouse(postback(URL))
    looking, read = house.role._outgoings._looking, []
    reads, gets = house.journal.read, house.journal.get

    def counted(*given: Any) -> Any:
        read.append(given)
        return reads(*given)

    def got(*given: Any) -> Any:
        read.append(given)
        return gets(*given)

    (place,) = house.decide(install())
    house.fold()
    house.journal.__dict__.update(read=counted, get=got)
    fresh = looking.outcomes([place])
    assert (read, fresh[place].device) == ([], "d1")
    again = looking.outcomes([place])
    assert read
    assert again == fresh


def test_no_more_is_remembered_than_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_FRESH_MAX", 2)
    house = PostHouse(postback(URL))
    places = house.decide(install("d1"), install("d2"), install("d3"))
    house.fold()
    finds = house.role._outgoings._looking
    assert list(finds._fresh) == places[1:]
    assert [one.device for one in finds.outcomes(places).values()] == ["d1", "d2", "d3"]
    assert not finds._fresh
