"""A scrubbed journal is judged again: what was decided of who was forgotten is taken as it stands."""

from __future__ import annotations

from attribute.tale import PRODUCT, House, bench, read_tale, tell

from attribune.attribute.replay import WhatIf, replay
from attribune.backup.scrub import Change, People, Sources
from attribune.collect.links import read_touch
from attribune.engines.memory import MemoryJournal, MemoryStore
from attribune.model.codec import decode
from attribune.model.control import Change as Control
from attribune.model.ids import START, forgotten
from attribune.model.outcome import Noted
from attribune.model.position import Topic
from attribune.model.unmeasured import FORGOTTEN
from attribune.registry.view import Registry

LIFE = """
    day 0 08:00  click zeta/brand as gone gaid=the-gaid
    day 0 08:30  event early device=the-device gaid=the-gaid
    day 0 09:00  click acme/spring as c gaid=the-gaid
    day 0 09:10  open device=the-device gaid=the-gaid ref=c
    day 0 09:11  event buy device=the-device tx=t1 pay=3.00:EUR
    day 0 09:20  correct the-device to gone
    day 0 09:30  open device=living ref=c
    day 0 09:40  correct the-device to organic
    day 0 10:00  forget device=the-device server
    day 0 10:10  open device=the-device gaid=the-gaid
    day 0 10:20  event buy device=living tx=t1
    day 0 10:30  open device=third ref=gone
"""


def scrubbed(house: House) -> House:
    """The same house with a scrubbed journal, and nothing remembered."""
    registry, people = Registry(), People()
    entries = house.journal.read(tuple(Topic), START, 10_000)
    for entry in entries:
        record = decode(entry)
        if isinstance(record, Control):
            registry.apply(entry.position, record)
        if isinstance(record, Noted) and record.forgets:
            people.add(record)
    # As a scrub finds them: records that only their outcomes say to be of somebody who was forgotten.
    for entry in house.journal.read((Topic.OUTCOMES,), START, 10_000):
        said = decode(entry)
        is_refused = getattr(said, "reason", None) == "forgotten"
        if is_refused or people.has(said.product, said.device):
            people.about.add(said.about)
    sources = Sources(
        now_ms=0,
        read_to=len(entries),
        read=lambda place, hit: read_touch(hit, registry.link(hit.link, place)),
        forgotten_deliveries=lambda _: (),
    )
    change = Change(people, sources, ())
    journal = MemoryJournal()
    for entry in entries:
        journal.append([(entry.topic, change.of(entry))])
    return House(journal=journal, store=MemoryStore())


def test_a_scrubbed_journal_holds_no_word_of_them() -> None:
    house = scrubbed(tell(read_tale(LIFE)))
    text = b"".join(one.payload for one in house.journal.read(tuple(Topic), START, 10_000))
    assert b"the-gaid" not in text
    # The correction that a person wrote names a conversion, and no device.
    assert b"the-device" not in text
    assert b"living" in text


def test_what_was_decided_stands_when_it_is_judged_again() -> None:
    first = tell(read_tale(LIFE))
    house = scrubbed(first)
    role = house.attributor()
    while role.step():
        pass
    state = role.state()
    assert state["differences"] == 0
    assert state["counters"]["as_recorded"] == 9
    assert house.journal.end() == first.journal.end(), "nothing is said twice"
    for device in ("the-device", forgotten(PRODUCT, "the-device")):
        assert house.answers.get(PRODUCT, device) == FORGOTTEN


def test_they_stay_forgotten() -> None:
    house = scrubbed(tell(read_tale(LIFE)))
    house.append(read_tale("day 1 09:00 open device=the-device").entries[3:])
    role = house.attributor()
    while role.step():
        pass
    assert list(house.outcomes())[-1].reason == "forgotten"


def test_a_replay_takes_what_stands_and_says_of_how_many_records() -> None:
    house = scrubbed(tell(read_tale(LIFE)))
    found = replay(bench(house), WhatIf(upto=house.journal.end()))
    assert (found.changed, found.differences, found.as_recorded) == (0, 0, 9)


def test_a_record_told_twice_before_is_known_once() -> None:
    twice = "day 0 09:50  event buy device=the-device id=same\n day 0 09:51  event buy device=the-device id=same"
    tale = LIFE.replace("    day 0 10:00  forget", f"    {twice}\n    day 0 10:00  forget")
    first = tell(read_tale(tale))
    house = scrubbed(first)
    role = house.attributor()
    while role.step():
        pass
    assert role.state()["differences"] == 0
    assert house.journal.end() == first.journal.end()


def test_what_others_waited_for_in_vain_is_not_said_again() -> None:
    """Their time was up when somebody was judged who is forgotten by now."""
    told = """
        day 0 09:00  event level device=d2
        day 3 09:00  open  device=d1
        day 3 09:10  forget device=d1
        day 3 09:20  open  device=d3
        day 3 09:30  open  device=d2
    """
    first = tell(read_tale(told))
    house = scrubbed(first)
    role = house.attributor()
    while role.step():
        pass
    assert role.state()["differences"] == 0
    assert house.journal.end() == first.journal.end(), "nothing is said twice"
