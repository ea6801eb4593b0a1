"""The audit: a clean house passes, and each kind of damage is found by its own check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from record.house import DAY_MS, GAME, HOUR_MS, T0, House, credit_of, refused

from attribune.model.activity import Consent, Event, Evidence, Open, Platform
from attribune.model.codec import decode, encode
from attribune.model.control import PolicySet, Retold
from attribune.model.fact import FactKind
from attribune.model.ids import Position
from attribune.model.outcome import (
    Attribution,
    Cause,
    ConversionKind,
    CreditedEvent,
    CreditedOpen,
    Held,
    Noted,
    Source,
)
from attribune.model.policy import Policy
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import Part
from attribune.report.audit import AuditReport, audit
from attribune.report.audit_facts import ClosedDaysHold
from attribune.report.checks import all_checks
from attribune.report.tally import Tally
from attribune.roles.recorder import audit_scope


def checked(house: House, *, is_recorded: bool = True, **words: Any) -> AuditReport:
    if is_recorded:
        house.record()
    words.setdefault("attributor_position", house.journal.end())
    words.setdefault("recorder_position", house.recorder.position())
    scope = audit_scope(house.journal, house.facts, house.lookups(), **words)
    return audit(scope, all_checks(scope))


def failed(report: AuditReport) -> dict[str, list[str]]:
    return {check.name: check.found for check in report.checks if not check.ok}


def failing(house: House, **words: Any) -> set[str]:
    return set(failed(checked(house, **words)))


def lived_in() -> House:
    """A house in which everything has happened."""
    house = House(timezone="Europe/Berlin")
    acme, zeta = house.click(query="cost=0.10"), house.click("l-zeta")
    won = house.install("d1", acme, lost=[zeta])
    organic = house.install("d2")
    event = house.event("e1", won, revenue="12.50")
    house.event("e2", organic)
    house.event("e3")
    house.opened("o1", won)
    house.noted(Consent)
    house.noted(Evidence, "v1")
    house.repeated()
    house.repeated_touch(cost=None)
    house.refusal(at_ms=T0 + 3 * HOUR_MS, record_id="r1")
    late = house.late(organic, T0 + 6 * HOUR_MS)
    assert late.candidate.lost_because
    moved = house.correct(won, zeta, T0 + 7 * HOUR_MS)
    cascade = Cause(kind="cascade", position=moved.position)
    house.correct(event, zeta, T0 + 7 * HOUR_MS, cause=cascade)
    again = house.click("l-acme", T0 + 20 * DAY_MS)
    back = house.install(
        "d1", again, T0 + 20 * DAY_MS + 1, kind=ConversionKind.REENGAGEMENT, by_open=False, id="b1"
    )
    # The open that the return was proven for later is placed by an outcome of its own.
    house.decide(noted_for(back))
    house.event("e4", back, T0 + 20 * DAY_MS + 2, revenue="1.00", secondary=credit_of(zeta))
    batch(house, 3)
    house.told_touch(T0, received_at_ms=T0 + 21 * DAY_MS)
    house.correct(organic, None, T0 + 22 * DAY_MS)
    return house


def noted_for(outcome: Attribution) -> Any:

    return CreditedOpen(
        product=GAME,
        position=outcome.position,
        about=outcome.about,
        judged_at_ms=outcome.judged_at_ms,
        app="droid",
        platform=Platform.ANDROID,
        device=outcome.device,
        record=outcome.record,
        at_ms=outcome.at_ms,
        source=Source.ORGANIC,
    )


def batch(house: House, of: int, *, without: int | None = None, request: str = "q1") -> None:
    """A request of several events of which one was refused at the door; the events wait for their open."""
    at_ms = T0 + 21 * DAY_MS
    for index in range(of):
        part = Part(request=request, index=index, of=of)
        if index == without:
            continue
        if index == 1:
            house.refusal(at_ms, record_id=f"{request}-{index}", part=part)
        else:
            house.held(f"{request}-{index}", "d9", at_ms, part=part)


def damaged(
    house: House, topic: Topic, pick: Callable[[Any], bool], change: Callable[[Any], Any]
) -> None:
    """Change, or take out (None), the first entry of a topic that fits."""
    entries = house.journal._entries[topic]
    for index, entry in enumerate(entries):
        record = decode(entry)
        if not pick(record):
            continue
        new = change(record)
        if new is None:
            del entries[index]
            house.journal._places[topic].remove(entry.position)
        else:
            entries[index] = entry._replace(payload=encode(new))
        return
    raise AssertionError("nothing to damage")


def outcome(kind: type, revision: int = 1) -> Callable[[Any], bool]:
    return lambda record: isinstance(record, kind) and getattr(record, "revision", 1) == revision


@pytest.fixture
def house() -> House:
    return lived_in()


def test_a_clean_house_passes_every_check(house: House) -> None:
    report = checked(house)
    assert failed(report) == {}
    assert report.ok
    assert report.lag == 0
    assert report.entries > 40
    assert [check.name for check in report.checks] == [
        "journal_is_whole",
        "requests_add_up",
        "every_record_placed_once",
        "every_record_judged",
        "no_outcome_doubled",
        "positions_agree",
        "one_install_per_device",
        "installs_add_up",
        "events_add_up",
        "touch_wins_once",
        "corrections_have_causes",
        "facts_match_outcomes",
        "closed_days_hold",
        "decisions_repeat",
    ]


def test_an_empty_house_passes() -> None:
    assert checked(House()).ok


def test_the_report_is_one_object(house: House) -> None:
    told = msgspec.to_builtins(checked(house))
    assert told["ok"] is True
    assert told["checks"][0]["found"] == []
    assert msgspec.json.decode(msgspec.json.encode(told)) == told


# --- each check finds its damage, and no other check does


def test_a_record_missing_from_a_request_is_found(house: House) -> None:
    batch(house, 4, without=2, request="q2")
    assert failed(checked(house)) == {"requests_add_up": ["request q2 lacks its records 2"]}


def test_a_record_twice_in_a_request_is_found(house: House) -> None:
    house.refusal(T0, part=Part(request="q3", index=0, of=2))
    house.refusal(T0, part=Part(request="q3", index=0, of=2))
    house.refusal(T0, part=Part(request="q3", index=1, of=2))
    assert failing(house) == {"requests_add_up"}


def test_a_request_that_stands_twice_is_found(house: House) -> None:
    for _ in range(2):
        batch(house, 2, request="q4")
    assert failing(house) == {"requests_add_up"}


def test_parts_that_disagree_about_their_request_are_found(house: House) -> None:
    house.refusal(T0, part=Part(request="q5", index=5, of=2))
    house.refusal(T0, part=Part(request="q6", index=0, of=1))
    assert failing(house) == {"requests_add_up"}


def test_a_lost_outcome_is_found(house: House) -> None:
    damaged(house, Topic.OUTCOMES, outcome(Noted), lambda _: None)
    found = failed(checked(house))
    assert set(found) == {"journal_is_whole", "every_record_placed_once"}
    assert "no outcome is about entry" in found["every_record_placed_once"][0]
    assert "is missing" in found["journal_is_whole"][0]


def test_an_outcome_that_was_never_written_is_found(house: House) -> None:
    house.said(Consent, "c7", at_ms=T0)
    house.tick(T0 + 22 * DAY_MS)
    assert failing(house) == {"every_record_placed_once"}


def test_a_missing_refusal_is_found_by_its_place_alone(house: House) -> None:
    damaged(house, Topic.REFUSED, lambda _: True, lambda _: None)
    assert "journal_is_whole" in failing(house)


def test_a_record_placed_twice_is_found(house: House) -> None:
    event = next(o for o in outcomes(house) if isinstance(o, CreditedEvent))
    house.append(refused(event.about, "e1", T0))
    damaged_position_order(house)
    assert failing(house) == {"every_record_placed_once"}


def test_a_record_placed_as_what_it_is_not_is_found(house: House) -> None:
    about = house.said(Event, "e77", "d1", T0, name="n")
    house.append(
        Noted(
            product=GAME,
            position=about,
            about=about,
            judged_at_ms=T0,
            record="e77",
            record_type="event",
        )
    )
    assert failing(house) == {"every_record_placed_once"}


def test_an_outcome_about_nothing_is_found(house: House) -> None:
    house.append(refused(Position(house.journal.end()), "zz", T0, instead_of=None))
    assert failing(house) == {"every_record_placed_once"}


def test_an_event_waits_no_longer_than_its_time(house: House) -> None:
    house.tick(T0 + 23 * DAY_MS - 1)
    assert failing(house) == set()
    house.tick(T0 + 23 * DAY_MS)
    found = failed(checked(house))
    assert set(found) == {"every_record_placed_once"}
    assert "waits, and its time is over" in found["every_record_placed_once"][0]


def test_an_event_that_nobody_says_to_wait_is_found(house: House) -> None:
    house.said(Event, "e8", "d9", T0 + 21 * DAY_MS, name="n")
    found = failed(checked(house))
    assert set(found) == {"every_record_placed_once"}
    assert "no outcome is about entry" in found["every_record_placed_once"][0]


@pytest.mark.parametrize("kind", [Event, Consent])
def test_an_event_waits_once_and_nothing_else_waits(house: House, kind: type) -> None:
    words = {"name": "n"} if kind is Event else {}
    about = house.said(kind, "e8", "d9", T0 + 21 * DAY_MS, **words)
    for _ in range(2 if kind is Event else 1):
        house.append(
            Held(
                product=GAME,
                position=about,
                about=about,
                judged_at_ms=T0,
                record="e8",
                app="droid",
                at_ms=T0,
                until_ms=T0 + 30 * DAY_MS,
            )
        )
    found = failed(checked(house))["every_record_placed_once"]
    assert any("which it cannot or which is over" in sentence for sentence in found)


def test_a_record_that_was_set_aside_is_found_until_it_is_told_again(house: House) -> None:
    at_ms = T0 + 21 * DAY_MS
    about = house.said(Event, "e8", "d9", at_ms, name="n")
    aside = replace(refused(about, "e8", at_ms), reason=RefusalReason.NOT_JUDGED)
    house.decide(aside)
    found = failed(checked(house))
    assert set(found) == {"every_record_judged"}
    assert f"event e8 (entry {about}) could not be judged" in found["every_record_judged"][0]
    house.change(Retold(places=(Position(about - 1),), by="operator"), at_ms)
    assert failing(house) == {"every_record_judged"}, "another one was"
    house.change(Retold(places=(about,), by="operator"), at_ms)
    assert failing(house) == set()


def test_a_doubled_outcome_is_found(house: House) -> None:
    last = [o for o in outcomes(house) if isinstance(o, CreditedEvent)][-1]
    house.append(replace(last, position=Position(house.journal.end())))
    assert failing(house) == {"no_outcome_doubled"}


@pytest.mark.parametrize("revision", [2, 4])
def test_a_revision_out_of_line_is_found(house: House, revision: int) -> None:
    first = next(o for o in outcomes(house) if isinstance(o, Attribution))
    position = house.tick(T0 + 22 * DAY_MS)
    cause = Cause(kind="evidence", position=position)
    revised = replace(
        first,
        revision=revision,
        position=position,
        cause=cause,
        previous=first.credit,
        previous_source=first.source,
        credit=None,
        source=Source.ORGANIC,
    )
    house.append(revised)
    assert "no_outcome_doubled" in failing(house)


def test_a_correction_of_what_was_never_decided_is_found(house: House) -> None:
    damaged(house, Topic.OUTCOMES, lambda o: getattr(o, "record", "") == "e1", lambda _: None)
    assert failing(house) == {
        "journal_is_whole",
        "every_record_placed_once",
        "no_outcome_doubled",
    }


def test_a_late_touch_told_twice_is_found(house: House) -> None:
    install = next(o for o in outcomes(house) if isinstance(o, Attribution))
    late = house.late(install, T0 + 22 * DAY_MS)
    house.append(late)
    assert failing(house) == {"no_outcome_doubled"}


def test_an_outcome_before_what_it_was_decided_from_is_found(house: House) -> None:
    damaged(
        house,
        Topic.OUTCOMES,
        outcome(Noted),
        lambda o: replace(o, position=Position(house.journal.end() + 5)),
    )
    assert failing(house) == {"positions_agree"}


def test_outcomes_out_of_order_are_found(house: House) -> None:
    about = house.said(Consent, "c8", at_ms=T0)
    other = house.said(Consent, "c9", at_ms=T0)
    words = {"product": GAME, "judged_at_ms": T0, "record": "c", "record_type": "consent"}
    house.append(Noted(position=other, about=other, **words))
    house.append(Noted(position=about, about=about, **words))
    assert failing(house) == {"positions_agree"}


def test_a_consumer_ahead_of_the_journal_is_found(house: House) -> None:
    end = house.journal.end()
    assert failing(house, attributor_position=end + 1) == {"positions_agree"}


def test_a_second_install_of_a_device_is_found(house: House) -> None:
    house.install("d2", house.click(at_ms=T0 + 21 * DAY_MS), T0 + 22 * DAY_MS)
    found = failed(checked(house))
    assert set(found) == {"one_install_per_device"}
    assert len(found["one_install_per_device"]) == 2
    assert "device d2 of game is installed by" in found["one_install_per_device"][0]


def test_an_install_that_became_something_else_is_no_second_install(house: House) -> None:
    install = house.install("d5", at_ms=T0 + 21 * DAY_MS)
    cause = Cause(kind="evidence", position=install.about)
    words = {"kind": ConversionKind.REINSTALL, "previous_kind": ConversionKind.INSTALL}
    house.correct(install, None, T0 + 21 * DAY_MS, cause=cause, **words)
    house.install("d5", at_ms=T0 + 21 * DAY_MS + 1)
    assert failing(house) == set()


def test_an_install_both_organic_and_attributed_is_found(house: House) -> None:
    damaged(
        house,
        Topic.OUTCOMES,
        lambda o: isinstance(o, Attribution) and o.device == "d1" and o.revision == 2,
        lambda o: replace(o, source=Source.ORGANIC),
    )
    (found,) = failed(checked(house))["installs_add_up"]
    assert found.endswith("is organic and credited to zeta")
    assert failing(house) == {"installs_add_up"}


def test_a_correction_that_takes_an_install_from_who_did_not_have_it_is_found(
    house: House,
) -> None:
    damaged(house, Topic.OUTCOMES, outcome(Attribution, 2), lambda o: replace(o, previous=o.credit))
    assert failing(house) == {"installs_add_up"}


def test_a_correction_of_a_return_that_no_open_made_is_followed_too(house: House) -> None:
    back = next(o for o in outcomes(house) if isinstance(o, Attribution) and not o.by_open)
    house.correct(back, None, T0 + 22 * DAY_MS)
    assert failing(house) == set()
    damaged(
        house,
        Topic.OUTCOMES,
        lambda o: isinstance(o, Attribution) and not o.by_open and o.revision == 2,
        lambda o: replace(o, previous=None),
    )
    house.recorder.forget()
    assert failing(house) == {"installs_add_up"}


def test_an_event_credited_to_two_is_found(house: House) -> None:
    damaged(
        house,
        Topic.OUTCOMES,
        outcome(CreditedEvent, 2),
        lambda o: replace(o, previous=None, previous_source=Source.ORGANIC),
    )
    (found,) = failed(checked(house))["events_add_up"]
    assert "away from organic, where it did not stand" in found
    assert failing(house) == {"events_add_up"}


def test_an_event_attributed_to_nobody_is_found(house: House) -> None:
    damaged(
        house,
        Topic.OUTCOMES,
        lambda o: isinstance(o, CreditedEvent) and o.record == "e2",
        lambda o: replace(o, source=Source.ATTRIBUTED),
    )
    assert failing(house) == {"events_add_up"}


def test_an_event_of_a_customer_and_of_its_device_too_is_found(house: House) -> None:
    damaged(
        house,
        Topic.OUTCOMES,
        lambda o: isinstance(o, CreditedEvent) and o.credit is not None,
        lambda o: replace(o, customer="u1", secondary=o.credit),
    )
    (found,) = failed(checked(house))["events_add_up"]
    assert "is a customer's, and its device's too" in found


def test_a_touch_that_wins_twice_is_found(house: House) -> None:
    hit = house.click(at_ms=T0 + 21 * DAY_MS)
    for device in ("d6", "d7"):
        house.install(device, hit, T0 + 22 * DAY_MS)
    found = failed(checked(house))
    assert set(found) == {"touch_wins_once"}
    assert found["touch_wins_once"][0].startswith(f"touch {hit.id} wins cv_")


def test_a_touch_may_win_again_after_it_lost_what_it_had_won(house: House) -> None:
    hit = house.click(at_ms=T0 + 21 * DAY_MS)
    install = house.install("d6", hit, T0 + 22 * DAY_MS)
    cause = Cause(kind="evidence", position=install.about)
    house.correct(install, None, T0 + 22 * DAY_MS, cause=cause)
    house.install("d7", hit, T0 + 22 * DAY_MS)
    assert failing(house) == set()


def test_a_reinstall_keeps_its_source_and_wins_nothing_anew(house: House) -> None:
    hit = house.click(at_ms=T0 + 21 * DAY_MS)
    house.install("d6", hit, T0 + 22 * DAY_MS)
    house.install("d7", hit, T0 + 22 * DAY_MS, kind=ConversionKind.REINSTALL)
    assert failing(house) == set()


def test_a_person_or_a_policy_may_let_a_touch_win_twice(house: House) -> None:
    hit = house.click(at_ms=T0 + 21 * DAY_MS)
    house.install("d6", hit, T0 + 22 * DAY_MS)
    house.correct(house.install("d7", None, T0 + 22 * DAY_MS), hit, T0 + 22 * DAY_MS)
    assert failing(house) == set()
    house.change(
        PolicySet(product=GAME, version="v", policy=Policy(one_touch_one_conversion=False))
    )
    house.install("d8", hit, T0 + 22 * DAY_MS)
    assert failing(house) == set()


def test_what_a_person_gave_and_took_back_hides_no_double_win(house: House) -> None:
    hit = house.click(at_ms=T0 + 21 * DAY_MS)
    given = house.correct(house.install("d8", None, T0 + 22 * DAY_MS), hit, T0 + 22 * DAY_MS)
    house.correct(given, None, T0 + 22 * DAY_MS)
    for device in ("d6", "d7"):
        house.install(device, hit, T0 + 22 * DAY_MS)
    assert failing(house) == {"touch_wins_once"}


@pytest.mark.parametrize(
    "cause",
    [
        None,
        Cause(kind="evidence", position=Position(10**9)),
        Cause(kind="person", position=Position(1)),
    ],
)
def test_a_correction_without_a_true_cause_is_found(house: House, cause: Cause | None) -> None:
    damaged(house, Topic.OUTCOMES, outcome(Attribution, 2), lambda o: replace(o, cause=cause))
    assert failing(house) == {"corrections_have_causes"}


def test_a_fact_without_an_outcome_is_found(house: House) -> None:
    house.record()
    like = next(row for row in house.rows() if row.kind is FactKind.EVENT)
    house.facts.insert([replace(like, ordinal=9)])
    found = failed(checked(house))
    assert set(found) == {"facts_match_outcomes"}
    assert "the facts say" in found["facts_match_outcomes"][0]


def test_a_missing_fact_is_found(house: House) -> None:
    house.record()
    kept = house.rows()
    house.facts.clear()
    house.facts.insert([row for row in kept if row != kept[3]])
    assert failing(house, recorder_position=house.journal.end()) == {"facts_match_outcomes"}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (FactKind.EVENT, {"amount_minor": 1251}),
        (FactKind.CLICK, {"cost_minor": 11}),
        (FactKind.INSTALL, {"partner": "other"}),
        (FactKind.INSTALL, {"source": "unknown"}),
        (FactKind.CLICK, {"kind": FactKind.IMPRESSION}),
    ],
)
def test_a_total_that_is_off_by_one_is_found(
    house: House, kind: FactKind, change: dict[str, Any]
) -> None:
    rebooked(house, kind, **change)
    assert failing(house) == {"facts_match_outcomes"}


def test_a_pair_of_rows_that_cancel_out_is_found_when_it_is_missing(house: House) -> None:
    house.record()
    kept = house.rows()
    taken = next(row for row in kept if row.sign < 0 and row.kind is FactKind.CLICK)
    pair = next(row for row in kept if row.touch == taken.touch)
    house.facts.clear()
    house.facts.insert([row for row in kept if row not in (taken, pair)])
    assert failing(house) == {"facts_match_outcomes"}


def test_a_row_booked_on_another_day_is_found(house: House) -> None:
    house.record()
    day = next(row.own_day for row in house.rows() if row.day != row.own_day)
    kept = house.rows()
    late = next(row for row in kept if row.day != row.own_day)
    house.facts.clear()
    house.facts.insert([replace(row, day=day) if row is late else row for row in kept])
    found = failed(checked(house))
    assert set(found) == {"closed_days_hold"}


def test_a_rule_that_books_on_a_closed_day_is_found(house: House) -> None:
    house.record()
    scope = audit_scope(
        house.journal,
        house.facts,
        house.lookups(),
        attributor_position=house.journal.end(),
        recorder_position=house.recorder.position(),
    )
    scope = replace(scope, closes_at_ms=lambda fact: fact.received_at_ms)
    checks = [check for check in all_checks(scope) if isinstance(check, ClosedDaysHold)]
    assert set(failed(audit(scope, checks))) == {"closed_days_hold"}


def test_decisions_that_do_not_repeat_are_found(house: House) -> None:
    found = failed(checked(house, decisions_repeat=lambda: ["entry 7 would be organic"]))
    assert found == {"decisions_repeat": ["entry 7 would be organic"]}
    assert failing(house, differences=2) == {"decisions_repeat"}
    assert failing(house, decisions_repeat=list) == set()


# --- under traffic


def test_what_lies_beyond_the_consumers_is_lag_and_no_damage(house: House) -> None:
    house.record()
    attributor, recorder = house.journal.end(), house.recorder.position()
    house.click(at_ms=T0 + 22 * DAY_MS)
    house.said(Open, "o99", "d50", T0 + 22 * DAY_MS)
    words = {"attributor_position": attributor, "recorder_position": recorder}
    report = checked(house, is_recorded=False, **words)
    assert (report.ok, report.lag) == (True, 2)
    # A recorder that goes on meanwhile disturbs nothing either.
    assert checked(house, **words).ok


def test_lag_is_that_of_the_slowest_consumer(house: House) -> None:
    house.record()
    recorder = house.recorder.position()
    for n in range(3):
        house.click(at_ms=T0 + 21 * DAY_MS + n)
    report = checked(house, is_recorded=False, recorder_position=recorder)
    assert (report.ok, report.lag) == (True, 3)


def test_outcomes_about_records_that_were_pruned_are_no_damage(house: House) -> None:
    house.record()
    registry, end = house.registry(), house.journal.end()
    event = next(o for o in outcomes(house) if isinstance(o, CreditedEvent))
    prune(house, event.about)
    lookups = house.lookups(registry)
    places = {"attributor_position": end, "recorder_position": Position(0)}
    scope = audit_scope(house.journal, house.facts, lookups, **places)
    journal_checks = [check for check in all_checks(scope) if "facts" not in check.name]
    assert failed(audit(scope, journal_checks)) == {}


def test_many_findings_are_counted_and_not_listed(house: House) -> None:
    for n in range(25):
        house.said(Consent, f"x{n}")
    found = failed(checked(house))["every_record_placed_once"]
    assert len(found) == 21
    assert found[-1] == "and 5 more"


def test_progress_is_told(house: House) -> None:
    told: list[tuple[int, int]] = []
    scope = audit_scope(
        house.journal,
        house.facts,
        house.lookups(),
        attributor_position=Position(0),
        recorder_position=Position(0),
    )
    audit(scope, [], lambda at, end: told.append((at, end)))
    assert told == [(house.journal.end(), house.journal.end())]


def test_a_tally_counts_up_and_down() -> None:
    tally = Tally()
    for hash_ in (1, 1, 2, 3 << 60, 3 << 60, 5 << 58, 5 << 58):
        tally.add(hash_)
    tally.take(5 << 58)
    assert sorted(tally.repeated()) == [1, 3 << 60]


# --- helpers


def outcomes(house: House) -> list[Any]:
    return [decode(entry) for entry in house.journal.read((Topic.OUTCOMES,), Position(0), 10_000)]


def damaged_position_order(house: House) -> None:
    """Let the newest outcome be decided from the newest entry before it, so that only its content is wrong."""
    entry = house.journal._entries[Topic.OUTCOMES][-1]
    position = Position(entry.position - 1)
    house.journal._entries[Topic.OUTCOMES][-1] = entry._replace(
        payload=encode(replace(decode(entry), position=position))
    )


def rebooked(house: House, of: FactKind, **change: Any) -> None:
    """Change one fact row of a kind."""
    kept = house.record().rows()
    row = next(row for row in kept if row.kind is of)
    house.facts.clear()
    house.facts.insert([replace(r, **change) if r is row else r for r in kept])


def prune(house: House, before: Position) -> None:
    house.journal._start = Position(before - 1)
    for topic in Topic:
        entries = house.journal._entries[topic]
        entries[:] = [entry for entry in entries if entry.position >= before]
        house.journal._places[topic][:] = [entry.position for entry in entries]
