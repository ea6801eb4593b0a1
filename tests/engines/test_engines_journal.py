"""What every journal promises."""

from __future__ import annotations

from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribune.model.ids import START, Position
from attribune.model.position import Entry, Topic

ALL = tuple(Topic)

entries = st.lists(
    st.tuples(st.sampled_from(Topic), st.binary(max_size=60) | st.just(b"x" * 5000)),
    min_size=1,
    max_size=12,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), entries),
        st.tuples(
            st.just("read"),
            st.tuples(st.sets(st.sampled_from(Topic)), st.integers(0, 60), st.integers(0, 20)),
        ),
        st.tuples(st.just("get"), st.tuples(st.sampled_from(Topic), st.integers(0, 60))),
        st.tuples(st.just("open again"), st.none()),
    ),
    max_size=25,
)


def test_a_new_journal_is_empty(open_journal):
    journal = open_journal()
    assert journal.end() == START
    assert journal.read(ALL, START, 10) == []
    assert journal.get(Topic.TOUCHES, Position(1)) is None


def test_an_unpruned_journal_starts_at_the_start(open_journal):
    journal = open_journal()
    assert journal.start() == START
    journal.append([(Topic.ACTIVITY, b"1")])
    assert journal.start() == START


def test_positions_are_consecutive_over_all_topics(open_journal):
    journal = open_journal()
    first = journal.append([(Topic.TOUCHES, b"a"), (Topic.ACTIVITY, b"b")])
    second = journal.append([(Topic.TOUCHES, b"c")])
    assert [*first, *second] == [1, 2, 3]
    assert journal.end() == 3


def test_topics_are_read_in_one_order(open_journal):
    journal = open_journal()
    journal.append([(Topic.TOUCHES, b"a"), (Topic.CONTROL, b"b"), (Topic.ACTIVITY, b"c")])
    journal.append([(Topic.TOUCHES, b"d")])
    assert journal.read([Topic.ACTIVITY, Topic.TOUCHES], START, 10) == [
        Entry(Position(1), Topic.TOUCHES, b"a"),
        Entry(Position(3), Topic.ACTIVITY, b"c"),
        Entry(Position(4), Topic.TOUCHES, b"d"),
    ]


def test_a_topic_named_twice_is_read_once(open_journal):
    journal = open_journal()
    journal.append([(Topic.TOUCHES, b"a")])
    assert len(journal.read([Topic.TOUCHES, Topic.TOUCHES], START, 10)) == 1


def test_reading_goes_on_after_a_place_up_to_a_limit(open_journal):
    journal = open_journal()
    journal.append([(Topic.TOUCHES, b"%d" % n) for n in range(1, 8)])
    assert [e.position for e in journal.read(ALL, Position(2), 3)] == [3, 4, 5]
    assert journal.read(ALL, Position(7), 3) == []
    assert journal.read(ALL, START, 0) == []


def test_an_entry_is_got_by_topic_and_place(open_journal):
    journal = open_journal()
    journal.append([(Topic.TOUCHES, b"a"), (Topic.ACTIVITY, b"b")])
    assert journal.get(Topic.ACTIVITY, Position(2)) == Entry(Position(2), Topic.ACTIVITY, b"b")
    assert journal.get(Topic.TOUCHES, Position(2)) is None


def test_an_append_of_nothing_is_nothing(open_journal):
    journal = open_journal()
    assert list(journal.append([])) == []
    assert journal.end() == START


def test_what_was_appended_stands_when_it_is_opened_again(open_journal):
    journal = open_journal()
    journal.append([(Topic.TOUCHES, b"a" * 3000)] * 100)
    journal.close()
    again = open_journal()
    assert again.end() == 100
    assert [*again.append([(Topic.REFUSED, b"z")])] == [101]
    assert [e.position for e in again.read(ALL, START, 200)] == [*range(1, 102)]


def test_threads_append_at_once(open_journal):
    journal = open_journal()
    places: list[int] = []

    def work(name: bytes) -> None:
        for n in range(30):
            places.extend(journal.append([(Topic.TOUCHES, name), (Topic.ACTIVITY, b"%d" % n)]))

    threads = [Thread(target=work, args=(name,)) for name in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(places) == [*range(1, 121)]
    assert [e.position for e in journal.read(ALL, START, 1000)] == [*range(1, 121)]


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_any_use_agrees_with_a_plain_list(open_journal, steps):
    """The model is a list that goes on from one example to the next, since the journal only grows."""
    journal = open_journal()
    model = journal.read(ALL, START, 1_000_000)
    base = len(model)
    for verb, what in steps:
        if verb == "append":
            places = journal.append(what)
            model += [Entry(Position(p), t, b) for p, (t, b) in zip(places, what, strict=True)]
        elif verb == "read":
            topics, after, limit = what
            wanted = [e for e in model if e.topic in topics and e.position > base + after][:limit]
            assert journal.read(topics, Position(base + after), limit) == wanted
        elif verb == "get":
            topic, place = what
            found = [e for e in model if e.topic is topic and e.position == base + place]
            assert journal.get(topic, Position(base + place)) == (found[0] if found else None)
        else:
            journal.close()
            journal = open_journal()
        assert journal.end() == len(model)
    assert journal.read(ALL, START, 1_000_000) == model
    assert [e.position for e in model] == [*range(1, len(model) + 1)]
    journal.close()


@pytest.mark.parametrize("size", [0, 1, 2000, 2048, 4096, 100_000])
def test_payloads_of_any_size(open_journal, size):
    journal = open_journal()
    journal.append([(Topic.REFUSED, b"r" * size), (Topic.REFUSED, b"")])
    assert [e.payload for e in journal.read([Topic.REFUSED], START, 9)] == [b"r" * size, b""]
