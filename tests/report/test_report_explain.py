"""From any handle to the whole story."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from record.house import DAY_MS, HOUR_MS, T0, House, credit_of, read_touch, refused
from rich.console import Console

from attribune.model.activity import Consent
from attribune.model.outcome import ConversionKind, LossReason
from attribune.model.touch import SignatureFault
from attribune.record.handles import handle_hash
from attribune.report import explain
from attribune.report.explain import Sources, stories
from attribune.report.moment import moment
from attribune.report.stories import Explained, Story
from attribune.report.told import age, all_shown, plain


def sources(house: House) -> Sources:
    return Sources(
        facts=house.facts,
        journal=house.journal,
        directory=house.registry(),
        read_touch=read_touch,
        handle_hash=handle_hash,
    )


def asked(house: House, handle: str) -> Explained:
    house.record()
    return stories(handle, sources(house))


def only(house: House, handle: str) -> Story:
    (story,) = asked(house, handle).stories
    return story


@pytest.fixture
def house() -> House:
    return House()


def test_the_story_of_an_install_has_the_shape_that_programs_read(house: House) -> None:
    lost, won = house.click("l-zeta"), house.click(at_ms=T0 + 60_000, query="click_id=P1")
    install = house.install(won=won, lost=[lost])
    house.event("e1", install, revenue="12.50", transaction_id="t-9")
    (story,) = msgspec.to_builtins(asked(house, "d1"))["stories"]
    assert story["conversion"] == install.conversion
    assert (story["kind"], story["at"], story["method"]) == (
        "install",
        "2026-03-02T10:00:00.000Z",
        "REFERRER",
    )
    assert story["policy"] == "attribune@0"
    winner = story["winner"]
    assert (winner["touch_id"], winner["partner"], winner["age_ms"]) == (
        won.id,
        "acme",
        59 * 60_000,
    )
    words = ("touch_id", "partner", "kind", "method", "age_ms", "lost_because")
    assert [tuple(c[word] for word in words) for c in story["candidates"]] == [
        (won.id, "acme", "click", "REFERRER", 59 * 60_000, None),
        (lost.id, "zeta", "click", "REFERRER", HOUR_MS, "OLDER"),
    ]
    (event,) = story["events"]
    assert (event["id"], event["name"], event["partner"]) == ("e1", "purchase", "acme")
    assert event["revenue"] == {"amount": "12.50", "currency": "USD"}
    assert story["corrections"] == []


@pytest.mark.parametrize(
    "handle",
    ["won", "lost", "P1", "p1", "d1", "open-1", "e1", "t-9", "o2", "gaid-7", "u7", "conversion"],
)
def test_every_handle_leads_to_the_story(house: House, handle: str) -> None:
    lost, won = house.click("l-zeta"), house.click(query="click_id=P1")
    words = {"id": "open-1", "user_id": "u7", "handles": ("gaid-7",)}
    install = house.install(won=won, lost=[lost], **words)
    house.event("e1", install, transaction_id="t-9")
    house.opened("o2", install)
    house.install("d-other", house.click())
    names = {"won": won.id, "lost": lost.id, "conversion": install.conversion}
    story = only(house, names.get(handle, handle))
    assert story.conversion == install.conversion
    assert [event.id for event in story.events] == ["e1"]
    assert [open_.id for open_ in story.opens] == ["o2"]


def test_a_losing_touch_leads_to_its_story_by_the_partners_click_id(house: House) -> None:
    lost, won = house.click("l-zeta", query="click_id=Z9"), house.click()
    install = house.install(won=won, lost=[lost])
    assert only(house, "Z9").conversion == install.conversion


def test_an_organic_install_has_no_winner(house: House) -> None:
    house.install()
    story = only(house, "d1")
    assert (story.winner, story.method, story.source) == (None, None, "organic")
    assert story.summary == "An install without a winner (organic): no touch was in reach."


def test_a_click_that_led_nowhere_says_so(house: House) -> None:
    hit = house.click(query="click_id=P1")
    story = only(house, "P1")
    assert story.conversion is None
    assert story.summary == "A click that led to no conversion."
    (touch,) = story.touches
    assert (touch.touch_id, touch.partner, touch.campaign) == (hit.id, "acme", "acme-spring")


@pytest.mark.parametrize("link", ["l-acme", "gone"])
def test_a_click_whose_signature_did_not_count_says_why(house: House, link: str) -> None:
    hit = house.click(link, signature_fault=SignatureFault.EXPIRED)
    story = only(house, hit.id)
    assert story.touches[0].signature_fault == "expired"
    assert "click of" in plain(story)
    assert ", signature expired" in plain(story)


def test_people_are_told_that_the_signature_of_a_winner_did_not_count(house: House) -> None:
    house.install(won=house.click())
    story = only(house, "d1")
    assert "signature" not in plain(story)
    words = {"signature_fault": "mismatch"}
    story.candidates = [msgspec.structs.replace(row, **words) for row in story.candidates]
    assert "won, signature mismatch" in " ".join(plain(story).split())
    story.winner = msgspec.structs.replace(story.winner, **words)
    assert "click of acme, signature mismatch" in plain(story)


def test_a_click_of_an_unknown_link_is_told_as_it_came(house: House) -> None:
    hit = house.click("gone")
    assert only(house, hit.id).touches[0].partner is None


def test_a_correction_is_told_with_its_cause_and_who_stood_before(house: House) -> None:
    first, second = house.click(), house.click("l-zeta")
    install = house.install(won=first)
    event = house.event("e1", install)
    corrected = house.correct(install, second, T0 + 5 * HOUR_MS)
    house.correct(event, second, T0 + 5 * HOUR_MS, cause=corrected.cause)
    (story,) = msgspec.to_builtins(asked(house, install.conversion))["stories"]
    (correction,) = story["corrections"]
    assert correction["from"] == {"touch_id": first.id, "partner": "acme"}
    assert correction["to"] == {"touch_id": second.id, "partner": "zeta"}
    assert (correction["cause"], correction["reason"], correction["by"]) == (
        "person",
        "agreed",
        "test",
    )
    assert (story["revision"], story["winner"]["partner"]) == (2, "zeta")
    assert [(event["partner"], event["revision"]) for event in story["events"]] == [("zeta", 2)]


def test_a_late_touch_is_shown_and_changes_nothing(house: House) -> None:
    install = house.install()
    late = house.late(install, T0 + 7 * HOUR_MS)
    story = only(house, "d1")
    assert story.winner is None
    assert [(t.touch_id, t.lost_because) for t in story.late_touches] == [
        (late.candidate.touch, LossReason.LATE.value)
    ]
    assert only(house, late.candidate.touch).conversion == install.conversion


def test_an_event_during_a_reengagement_is_in_both_stories(house: House) -> None:
    first, back = house.click(), house.click("l-zeta", T0 + 20 * DAY_MS)
    install = house.install(won=first)
    again = house.install(
        won=back, at_ms=T0 + 20 * DAY_MS + HOUR_MS, kind=ConversionKind.REENGAGEMENT
    )
    house.event(
        "e1",
        again,
        T0 + 21 * DAY_MS,
        secondary=credit_of(first),
        secondary_conversion=install.conversion,
    )
    told = asked(house, "d1").stories
    assert [story.conversion for story in told] == [install.conversion, again.conversion]
    assert [(s.events[0].credit, s.events[0].partner) for s in told] == [
        ("secondary", "acme"),
        ("primary", "zeta"),
    ]


def test_an_event_of_unknown_source_has_a_story_without_conversion(house: House) -> None:
    house.event("e1")
    story = only(house, "e1")
    assert (story.conversion, story.source, story.winner) == (None, "unknown", None)
    assert [event.id for event in story.events] == ["e1"]


def test_what_was_refused_and_noted_stands_in_the_story_of_its_time(house: House) -> None:
    install = house.install()
    house.event("e1", install)
    house.repeated("e1", instead_of="e1")
    house.noted(Consent, at_ms=T0 + 5 * HOUR_MS)
    story = only(house, "e1")
    assert [(r.record, r.reason, r.where) for r in story.refused] == [
        ("e1", "repeated_record", "journal")
    ]
    assert [(n.record, n.record_type) for n in story.notes] == [("c1", "consent")]


def test_a_repeated_touch_is_told_with_its_refusal(house: House) -> None:
    touch, _ = house.repeated_touch()
    story = only(house, touch.id)
    assert story.summary == "A click that was not used: repeated_record."
    assert [touch.touch_id for touch in story.touches] == [touch.id]


def test_a_refusal_at_the_door_is_found_by_its_record(house: House) -> None:
    house.refusal(record_id="r1", record_type="event", message="amount must be text")
    story = only(house, "r1")
    assert story.summary == "Not used: malformed."
    assert (story.refused[0].where, story.refused[0].message) == ("door", "amount must be text")


@pytest.mark.parametrize("handle", ["d9", "e9", "u7", "t-9", "gaid-7"])
def test_an_event_that_waits_for_its_open_is_shown(house: House, handle: str) -> None:
    house.held("e9", "d9", user_id="u7", transaction_id="t-9", handles=("u7", "t-9", "gaid-7"))
    story = only(house, handle)
    assert story.summary == "Waiting for the open of its device."
    assert [(event.id, event.name) for event in story.held] == [("e9", "signup")]


def test_an_event_waits_however_much_has_come_since(house: House) -> None:
    """It is found by its row, and not by reading back."""
    house.held("e9", "d9")
    for n in range(300):
        house.click(at_ms=T0 + n)
    read = house.journal.read

    def read_all(*args: Any) -> Any:
        raise AssertionError(f"the journal is read through: {args}")

    house.record()
    known = sources(house)
    house.journal.read = read_all
    try:
        found = stories("d9", known)
    finally:
        house.journal.read = read
    assert [event.id for event in found.stories[0].held] == ["e9"]


def test_an_event_that_was_credited_or_refused_waits_no_more(house: House) -> None:
    held = [house.held("e8", "d1"), house.held("e9", None, user_id="u7", handles=("u7",))]
    install = house.install("d1")
    house.decide(refused(held[0].about, "e8", T0 + HOUR_MS, device="d1"))
    credited = house.event("e0", install, user_id="u7")
    house.decide(replace(credited, about=held[1].about, record="e9"))
    for handle in ("d1", "u7"):
        assert [story.held for story in asked(house, handle).stories] == [[]]


def test_what_came_of_an_event_is_seen_beyond_the_rows_that_are_followed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [house.held("e8", "d1"), house.held("e9", "d1")]
    install = house.install("d1")
    credited = house.event("e0", install)
    for n in range(5):
        house.opened(f"o{n}", install)
    house.decide(replace(credited, about=held[0].about, record="e8"))
    monkeypatch.setattr(explain, "ROWS_MAX", 5)
    found = asked(house, "d1")
    assert found.is_truncated
    assert [event.id for story in found.stories for event in story.held] == ["e9"]


def test_a_handle_that_nobody_knows_has_no_story(house: House) -> None:
    house.install()
    assert msgspec.to_builtins(asked(house, "nobody")) == {
        "handle": "nobody",
        "stories": [],
        "is_truncated": False,
        "pruned": None,
        "forgotten": (),
    }


def test_the_same_word_for_a_user_and_a_device_leads_to_both_and_mixes_nothing(
    house: House,
) -> None:
    first = house.install("5")
    other = house.install("d2", user_id="5")
    house.event("e9", other)
    told = asked(house, "5").stories
    assert [story.device for story in told] == ["5", "d2"]
    assert [len(story.events) for story in told] == [0, 1]
    assert [story.device for story in asked(house, "d2").stories] == ["d2"]
    assert [story.device for story in asked(house, first.record).stories] == ["5"]


def test_long_stories_are_cut_and_say_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "EVENTS_MAX", 2)
    monkeypatch.setattr(explain, "DEVICES_MAX", 1)
    install = house.install(user_id="u1")
    for n in range(5):
        house.event(f"e{n}", install, T0 + (n + 1) * HOUR_MS)
    house.install("d2", user_id="u1")
    told = asked(house, "u1")
    story = told.stories[0]
    assert ([event.id for event in story.events], story.events_not_listed) == (["e0", "e1"], 3)
    assert told.is_truncated


def test_people_read_candidates_and_what_happened_in_order(house: House) -> None:
    lost, won = house.click("l-zeta"), house.click(at_ms=T0 + 60_000)
    install = house.install(won=won, lost=[lost])
    house.event("e1", install, revenue="12.50")
    house.late(install, T0 + 3 * HOUR_MS)
    house.correct(install, None, T0 + 5 * HOUR_MS)
    text = plain(only(house, "d1"))
    assert "An install without a winner (organic): none of 2 candidates could win." in text
    for words in ("OLDER", "59 min", "event purchase 12.50 USD", "corrected from acme to nobody"):
        assert words in text
    assert text.index("install (organic)") < text.index("event purchase")
    assert len(all_shown(asked(house, "nobody")).renderables) == 1


def test_people_read_all_that_belongs_to_a_story(house: House) -> None:
    install = house.install(not_listed={"OUTSIDE_WINDOW": 12, "OLDER": 1})
    house.opened("o2", install)
    house.event("e1", install)
    house.repeated("e1")
    house.noted(Consent, at_ms=T0 + 5 * HOUR_MS)
    said = {"shares": True, "partners": {"zeta": False}}
    house.noted(Consent, "c2", at_ms=T0 + 5 * HOUR_MS, **said)
    house.late(install, T0 + 6 * HOUR_MS)
    text = plain(only(house, "d1"))
    for words in (
        "and not listed: 1 OLDER, 12 OUTSIDE_WINDOW",
        "Came too late to compete",
        "open (organic)",
        "event e1 not used: repeated_record",
        "consent c1",
        "consent c2 (partners may be told; zeta: no)",
    ):
        assert words in text
    hit = house.click()
    assert "click of acme" in plain(only(house, hit.id))


def test_people_are_told_when_there_is_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "DEVICES_MAX", 1)
    house.install("d1", user_id="u1")
    house.install("d2", user_id="u1")
    out = StringIO()
    Console(file=out).print(all_shown(asked(house, "u1")))
    assert "There is more than is shown" in out.getvalue()


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 ms"), (-5, "0 ms"), (1500, "1 s"), (3_660_000, "1 h 1 min"), (2 * DAY_MS, "2 d")],
)
def test_ages_are_said_in_two_units(ms: int, text: str) -> None:
    assert age(ms) == text


def test_moments_are_of_utc_with_milliseconds() -> None:
    assert moment(T0 + 7) == "2026-03-02T09:00:00.007Z"


def test_stories_are_json(house: House) -> None:
    house.install(won=house.click())
    explained = asked(house, "d1")
    assert json.loads(msgspec.json.encode(explained)) == json.loads(
        json.dumps(msgspec.to_builtins(explained))
    )
