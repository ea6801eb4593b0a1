"""What every keeper of facts promises: the same sums, whoever adds them up."""

from __future__ import annotations

import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from attribune.engines import fact_columns
from attribune.engines.clickhouse_facts import ClickhouseFacts
from attribune.engines.memory import MemoryFacts
from attribune.model.errors import FolderTooNew, Invalid, StoreUnavailable
from attribune.model.fact import Fact, FactKind, Measure, Question, Sum, Told, Trace
from attribune.model.ids import START, Position, ProductId, RecordId

CLICKS = Measure(name="clicks", kinds=(FactKind.CLICK,))
INSTALLS = Measure(name="installs", kinds=(FactKind.INSTALL,))
EVENTS = Measure(name="events", kinds=(FactKind.EVENT,))
REVENUE = Measure(name="revenue", kinds=(FactKind.EVENT,), value="amount")
COST = Measure(name="cost", kinds=(FactKind.CLICK, FactKind.IMPRESSION), value="cost")
DEVICES = Measure(name="devices", kinds=(FactKind.OPEN, FactKind.EVENT), value="devices")
ORGANIC = Measure(name="organic", kinds=(FactKind.INSTALL,), sources=("organic",))

MARCH = [date(2026, 3, day) for day in range(1, 4)]


def fact(position: int, kind: FactKind = FactKind.INSTALL, **words: Any) -> Fact:
    given_: dict[str, Any] = {
        "position": Position(position),
        "ordinal": 0,
        "kind": kind,
        "product": ProductId("game"),
        "at_ms": 1_772_366_400_000 + position,
        "received_at_ms": 1_772_366_400_000 + position,
        "day": MARCH[0],
        "own_day": MARCH[0],
        "about": Position(position),
    }
    return Fact(**(given_ | words))


def ask(facts: Any, *measures: Measure, by: tuple[str, ...] = (), **words: Any) -> list[Sum]:
    return facts.ask(Question(measures=measures, by=by, **words))


def table(sums: list[Sum], name: str) -> dict[Any, Any]:
    return {sum_.by if len(sum_.by) > 1 else sum_.by[0]: sum_.values[name] for sum_ in sums}


def test_columns_are_the_fields_of_a_fact():
    assert list(fact_columns.COLUMNS) == [field.name for field in fields(Fact)]


def test_no_facts_sum_to_nothing(facts):
    assert facts.position() == START
    assert facts.count() == 0
    assert ask(facts, INSTALLS, by=("partner",)) == []
    (total,) = ask(facts, INSTALLS, REVENUE, DEVICES)
    assert total == Sum(by=(), values={"installs": 0, "revenue": {}, "devices": 0})


#: Text columns that may be absent.
TEXTS = [field.name for field in fields(Fact) if field.type == (str | None)]


def test_every_column_comes_back_as_it_was_written(clickhouse):
    clickhouse.clear()
    written = fact(
        2**63 - 1,
        FactKind.EVENT,
        ordinal=3,
        sign=-1,
        app="app",
        platform="ios",
        source="attributed",
        at_ms=-(2**63),
        received_at_ms=2**63 - 1,
        **{name: f"{name} ü \x00 '\\ \t\n 🦊" for name in TEXTS},
        is_primary=False,
        amount_minor=-(10**14),
        currency="JPY",
        cost_minor=10**14,
        cost_currency="KWD",
        day=date(1970, 1, 1),
        own_day=date(2105, 12, 31),
        revision=7,
        handles=(0, 2**64 - 1),
    )
    clickhouse.insert([written, fact(1)])
    (row, bare) = clickhouse._select("SELECT * FROM facts ORDER BY position DESC", {})
    names = [name for name in fact_columns.COLUMNS if name != "handles"]
    assert dict(zip(fact_columns.COLUMNS, row, strict=True))["handles"] == [0, 2**64 - 1]
    for stored, given_ in ((row, written), (bare, fact(1))):
        columns = dict(zip(fact_columns.COLUMNS, stored, strict=True))
        assert {n: columns[n] for n in names} == {n: getattr(given_, n) for n in names}


def test_sums_by_dimension_biggest_first_absent_last(facts):
    facts.insert(
        [
            *(fact(n, partner="acme") for n in (1, 2, 3)),
            *(fact(n, partner="zeta") for n in (4, 5)),
            *(fact(n, partner="beta") for n in (6, 7)),
            *(fact(n) for n in (8, 9)),
        ]
    )
    sums = ask(facts, INSTALLS, by=("partner",))
    assert [(s.by[0], s.values["installs"]) for s in sums] == [
        ("acme", 3),
        ("beta", 2),
        ("zeta", 2),
        (None, 2),
    ]
    assert ask(facts, INSTALLS, by=("partner",), rows_max=2) == sums[:2]


def test_a_correction_takes_the_old_row_away(facts):
    facts.insert([fact(1, partner="acme", device="d")])
    facts.insert([fact(2, partner="acme", device="d", sign=-1), fact(2, ordinal=1, partner="zeta")])
    assert table(ask(facts, INSTALLS, by=("partner",)), "installs") == {"zeta": 1}


def test_money_adds_up_by_currency(facts):
    facts.insert(
        [
            fact(1, FactKind.EVENT, amount_minor=1250, currency="EUR"),
            fact(2, FactKind.EVENT, amount_minor=50, currency="EUR"),
            fact(3, FactKind.EVENT, amount_minor=7, currency="USD"),
            fact(4, FactKind.EVENT, amount_minor=9, currency="JPY"),
            fact(5, FactKind.EVENT, amount_minor=9, currency="JPY", sign=-1),
            fact(6, FactKind.EVENT),
            fact(7, FactKind.CLICK, cost_minor=3, cost_currency="USD"),
        ]
    )
    (total,) = ask(facts, REVENUE, COST, EVENTS)
    assert total.values == {"revenue": {"EUR": 1300, "USD": 7}, "cost": {"USD": 3}, "events": 4}


def test_sums_do_not_overflow(facts):
    huge = 2**62
    facts.insert([fact(n, FactKind.EVENT, amount_minor=huge, currency="IRR") for n in range(1, 9)])
    (total,) = ask(facts, REVENUE)
    assert total.values["revenue"] == {"IRR": 8 * huge}


def test_secondary_credit_counts_only_when_asked_for(facts):
    facts.insert(
        [
            fact(1, FactKind.EVENT, partner="acme"),
            fact(1, FactKind.EVENT, ordinal=1, partner="zeta", is_primary=False),
        ]
    )
    both = Measure(name="events", kinds=(FactKind.EVENT,), with_secondary=True)
    assert table(ask(facts, EVENTS, by=("partner",)), "events") == {"acme": 1}
    assert table(ask(facts, both, by=("partner",)), "events") == {"acme": 1, "zeta": 1}


def test_events_that_are_left_out_do_not_count_and_those_without_a_name_do(facts):
    names = ("buy", "refund", "chargeback", None)
    facts.insert(
        [
            fact(n, FactKind.EVENT, event=name, amount_minor=10**n, currency="EUR")
            for n, name in enumerate(names)
        ]
    )
    gross = Measure(
        name="m", kinds=(FactKind.EVENT,), value="amount", without_events=("refund", "chargeback")
    )
    (total,) = ask(facts, gross)
    assert total.values["m"] == {"EUR": 1001}


def test_different_devices_are_counted_once_and_not_when_taken_away(facts):
    facts.insert(
        [
            fact(1, FactKind.OPEN, device="a", partner="acme"),
            fact(2, FactKind.EVENT, device="a", partner="acme"),
            fact(3, FactKind.OPEN, device="b", partner="acme"),
            fact(4, FactKind.OPEN, device="b", partner="acme", sign=-1),
            fact(5, FactKind.OPEN, device="b", partner="zeta"),
            fact(6, FactKind.OPEN, partner="zeta"),
        ]
    )
    sums = ask(facts, DEVICES, EVENTS, by=("partner",))
    assert table(sums, "devices") == {"acme": 1, "zeta": 1}
    assert table(sums, "events") == {"acme": 1, "zeta": 0}
    assert ask(facts, DEVICES)[0].values == {"devices": 2}


def test_filters_narrow_down(facts):
    facts.insert(
        [
            fact(1, partner="acme", app="ios", source="attributed"),
            fact(2, app="ios", source="organic", day=MARCH[1]),
            fact(3, partner="zeta", app="android", product="other", day=MARCH[2]),
        ]
    )

    def count(measure: Measure = INSTALLS, **words: Any) -> int:
        return ask(facts, measure, **words)[0].values[measure.name]

    assert count() == 3
    assert count(product=ProductId("game")) == 2
    assert count(app="android") == 1
    assert count(first_day=MARCH[1]) == 2
    assert count(first_day=MARCH[1], last_day=MARCH[1]) == 1
    assert count(until=Position(2)) == 2
    assert count(where={"partner": ("acme",)}) == 1
    assert count(where={"partner": (None,)}) == 1
    assert count(where={"partner": ("acme", None)}) == 2
    assert count(where={"partner": ()}) == 0
    assert count(where={"partner": ("acme",), "app": ("android",)}) == 0
    assert count(where={"day": ("2026-03-02", "2026-03-03")}) == 2
    assert count(where={"source": ("' OR 1=1 --",)}) == 0
    assert count(ORGANIC) == 1


def test_days_come_back_as_days(facts):
    facts.insert([fact(1), fact(2, day=MARCH[1])])
    assert set(table(ask(facts, INSTALLS, by=("day",)), "installs")) == {MARCH[0], MARCH[1]}


@pytest.mark.parametrize(
    "question",
    [
        Question(measures=(INSTALLS,), by=("device",)),
        Question(measures=(INSTALLS,), by=("partner; DROP TABLE facts",)),
        Question(measures=(INSTALLS,), where={"1 = 1 OR partner": ("x",)}),
        Question(measures=(INSTALLS,), where={"day": ("yesterday",)}),
        Question(measures=()),
    ],
)
def test_only_dimensions_can_be_asked_by(facts, question):
    with pytest.raises(Invalid):
        facts.ask(question)


def test_a_handle_leads_to_rows_in_order(facts):
    facts.insert(
        [
            fact(3, handles=(7, 8), device="d", touch="t", conversion="c", about=Position(1)),
            fact(2, FactKind.OPEN, ordinal=1, handles=(7,)),
            fact(2, FactKind.CLICK, handles=(7, 2**64 - 1)),
            fact(1, handles=(9,)),
        ]
    )
    rows = [
        Trace(Position(2), "click", Position(2), None, None, None),
        Trace(Position(2), "open", Position(2), None, None, None),
        Trace(Position(3), "install", Position(1), "d", "t", "c"),
    ]
    assert facts.trace(7, 10) == rows
    assert facts.trace(7, 2) == rows[:2]
    assert facts.trace(2**64 - 1, 10) == rows[:1]
    assert facts.trace(6, 10) == []


def test_many_handles_lead_to_rows_of_some_kinds_each_with_its_own(facts):
    facts.insert(
        [
            fact(3, handles=(7, 8), device="d", touch="t", conversion="c", about=Position(1)),
            fact(2, FactKind.OPEN, handles=(7,)),
            fact(2, FactKind.CLICK, ordinal=1, handles=(2**64 - 1,)),
            fact(1, handles=(9, 10)),
        ]
    )
    click = Trace(Position(2), "click", Position(2), None, None, None)
    install = Trace(Position(3), "install", Position(1), "d", "t", "c")
    wanted = [2**64 - 1, 7, 8, *range(1000, 5000)]
    kinds = (FactKind.INSTALL, FactKind.CLICK)
    found = [(2**64 - 1, click), (7, install), (8, install)]
    assert facts.trace_all(wanted, kinds, 10) == found
    assert facts.trace_all(wanted, kinds, 2) == found[:2]
    assert facts.trace_all([], kinds, 10) == []
    assert facts.trace_all([7], (), 10) == []


def test_records_that_were_told_are_known_by_kind_product_and_time(facts):
    theirs = FactKind.FOREIGN_INSTALL
    facts.insert(
        [
            fact(1, theirs, record="fc_1"),
            fact(2, theirs, record="fc_2"),
            fact(3, theirs, record="fc_3", product=ProductId("other")),
            fact(4, FactKind.REFUSED, record="fc_4"),
            fact(5, theirs, record=None),
        ]
    )
    wanted = Told(
        product=ProductId("game"),
        kinds=(theirs, FactKind.FOREIGN_EVENT),
        records=tuple(RecordId(f"fc_{n}") for n in range(1, 6)),
    )
    noon = 1_772_366_400_000
    assert facts.told(wanted) == {"fc_1", "fc_2"}
    assert facts.told(replace(wanted, since_ms=noon + 2, until_ms=noon + 2)) == {"fc_2"}
    assert facts.told(replace(wanted, until_ms=noon + 1)) == {"fc_1"}
    assert facts.told(replace(wanted, records=())) == set()


def test_a_folder_made_before_its_rows_knew_their_times_finds_them(clickhouse):
    """The index is of later parts only; what lies in older ones is found without it."""
    clickhouse._writer.command("ALTER TABLE facts DROP INDEX times_seen")
    clickhouse.insert([fact(1, FactKind.FOREIGN_INSTALL, record="fc_1")])
    clickhouse._prepare()
    clickhouse.insert([fact(2, FactKind.FOREIGN_INSTALL, record="fc_2")])
    wanted = Told(
        product=ProductId("game"),
        kinds=(FactKind.FOREIGN_INSTALL,),
        records=(RecordId("fc_1"), RecordId("fc_2")),
        since_ms=1_772_366_400_000,
    )
    assert clickhouse.told(wanted) == {"fc_1", "fc_2"}


def test_cleared_facts_are_gone(facts):
    facts.insert([fact(5), fact(4)])
    assert (facts.count(), facts.position()) == (2, 5)
    facts.insert([])
    facts.insert([fact(3)])
    assert (facts.count(), facts.position()) == (3, 5)
    facts.clear()
    assert (facts.count(), facts.position()) == (0, START)


words = st.none() | st.sampled_from(["acme", "zeta", "", "ü", "absent", "NULL"])
some_facts = st.lists(
    st.builds(
        fact,
        position=st.integers(1, 30),
        kind=st.sampled_from(FactKind),
        ordinal=st.integers(0, 2),
        sign=st.sampled_from([1, 1, -1]),
        product=st.sampled_from(["game", "shop", ""]),
        app=st.sampled_from(["ios", "android", ""]),
        source=st.sampled_from(["attributed", "organic", "unknown", ""]),
        partner=words,
        campaign=words,
        event=words,
        is_primary=st.booleans(),
        amount_minor=st.integers(-500, 500),
        currency=st.sampled_from(["USD", "EUR", ""]),
        cost_minor=st.integers(0, 9),
        cost_currency=st.sampled_from(["USD", ""]),
        day=st.sampled_from(MARCH),
        own_day=st.sampled_from(MARCH),
        device=st.none() | st.sampled_from(["d1", "d2", "d3"]),
    ),
    max_size=40,
)
measures = st.builds(
    Measure,
    name=st.sampled_from(["m1", "m2", "m3", "m4"]),
    kinds=st.lists(st.sampled_from(FactKind), unique=True, max_size=4).map(tuple),
    value=st.sampled_from(["rows", "amount", "cost", "devices"]),
    with_secondary=st.booleans(),
    sources=st.sampled_from([(), ("attributed",), ("organic", "")]),
    without_events=st.sampled_from([(), ("refund", "chargeback"), ("buy",)]),
)
dimensions = st.sampled_from(
    [
        "partner",
        "campaign",
        "event",
        "product",
        "app",
        "source",
        "kind",
        "day",
        "own_day",
        "currency",
    ]
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "partner": st.lists(words, max_size=2).map(tuple),
        "source": st.lists(st.sampled_from(["organic", "", None]), max_size=2).map(tuple),
        "kind": st.lists(st.sampled_from(["install", "event"]), max_size=2).map(tuple),
        "own_day": st.lists(st.sampled_from(["2026-03-01", "2026-03-02"]), max_size=2).map(tuple),
    },
)
questions = st.builds(
    Question,
    measures=st.lists(measures, min_size=1, max_size=4, unique_by=lambda m: m.name).map(tuple),
    by=st.lists(dimensions, max_size=3).map(tuple),
    product=st.none() | st.sampled_from(["game", ""]),
    app=st.none() | st.just("ios"),
    first_day=st.none() | st.sampled_from(MARCH),
    last_day=st.none() | st.sampled_from(MARCH),
    until=st.none() | st.integers(0, 30),
    where=filters,
    rows_max=st.integers(0, 12),
)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=some_facts, asked=st.lists(questions, min_size=1, max_size=6))
def test_clickhouse_answers_as_the_twin_does(clickhouse, rows, asked):
    twin = MemoryFacts()
    clickhouse.clear()
    for part in (rows[::2], rows[1::2]):
        twin.insert(part)
        clickhouse.insert(part)
    assert clickhouse.position() == twin.position()
    for question in asked:
        assert clickhouse.ask(question) == twin.ask(question)


def test_an_insert_is_one_part(clickhouse):
    """So it is there whole or not at all; more rows than ClickHouse puts in a block by itself."""
    clickhouse.clear()
    clickhouse.insert([fact(n, site_id=str(n), handles=(n, n + 1)) for n in range(1, 80_001)])
    parts = clickhouse._select(
        "SELECT count(), sum(rows) FROM system.parts WHERE table = 'facts' AND active", {}
    )
    assert [tuple(row) for row in parts] == [(1, 80_000)]


def test_a_failed_insert_leaves_nothing_and_asks_for_the_position_anew(clickhouse):
    clickhouse.clear()
    clickhouse.insert([fact(1)])
    assert clickhouse.position() == 1
    with pytest.raises(StoreUnavailable, match="ordinal"):
        clickhouse.insert([fact(2), fact(3, ordinal="no number")])
    assert (clickhouse.count(), clickhouse.position()) == (1, 1)


def test_a_report_beyond_its_memory_says_so(clickhouse):
    clickhouse.clear()
    clickhouse.insert([fact(n, site_id=f"{n:09}" * 9) for n in range(1, 30_001)])
    with pytest.raises(StoreUnavailable, match="facts_memory_bytes_max"):
        clickhouse._try(
            lambda: clickhouse._reader.query(
                "SELECT groupArray(site_id) FROM facts", settings={"max_memory_usage": 1 << 20}
            )
        )


def test_questions_and_inserts_run_beside_each_other(clickhouse):
    clickhouse.clear()
    with ThreadPoolExecutor(4) as pool:
        inserts = [pool.submit(clickhouse.insert, [fact(n)]) for n in range(1, 21)]
        asks = [pool.submit(ask, clickhouse, INSTALLS) for _ in range(20)]
        for future in [*inserts, *asks]:
            future.result(timeout=30)
    assert ask(clickhouse, INSTALLS)[0].values == {"installs": 20}


ANOTHER = """
import sys
from attribune.engines import clickhouse_facts
from attribune.engines.clickhouse_facts import ClickhouseFacts
from attribune.model.errors import AttribuneError

def open_():
    return ClickhouseFacts(sys.argv[2], memory_bytes_max=1 << 30, threads=2)

def insert(facts):
    from test_engines_facts import fact
    n = facts.position() + 1
    while True:
        facts.insert([fact(n, ordinal=i) for i in range(50)])
        print(n, flush=True)
        n += 1

try:
    if sys.argv[1] == "later":
        clickhouse_facts.FORMAT = 2
        clickhouse_facts._TABLE = clickhouse_facts._TABLE.replace("attribune facts 1", "attribune facts 2")
        open_().close()
    elif sys.argv[1] == "insert":
        insert(open_())
    else:
        facts = open_()
        print(facts.position(), facts.count())
        facts.close()
except AttribuneError as fault:
    print(type(fault).__name__, fault.message)
"""


def another(verb: str, path: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", ANOTHER, verb, str(path)]
    here = str(Path(__file__).parent)
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=here)


def said(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0].strip()


def test_inserts_are_whole_after_a_kill(tmp_path: Path):
    writer = another("insert", tmp_path)
    for line in writer.stdout:
        if int(line) >= 12:
            break
    writer.kill()
    acknowledged = max([12, *(int(line) for line in said(writer).splitlines())])
    position, rows = map(int, said(another("look", tmp_path)).split())
    assert position in {acknowledged, acknowledged + 1}
    assert rows == 50 * position


def test_a_held_folder_is_said(tmp_path: Path):
    holder = another("insert", tmp_path)
    assert holder.stdout.readline() == "1\n"
    assert said(another("look", tmp_path)).startswith("StoreUnavailable the facts ")
    holder.kill()
    said(holder)


def test_a_later_format_is_refused(tmp_path: Path):
    said(another("later", tmp_path))
    assert said(another("look", tmp_path)).startswith("FolderTooNew ")
    assert FolderTooNew.code == "folder_too_new"


def test_one_folder_in_a_process(clickhouse, tmp_path: Path):
    with pytest.raises(StoreUnavailable):
        ClickhouseFacts(tmp_path, memory_bytes_max=1 << 30, threads=1)
    assert clickhouse.count() >= 0


def test_what_was_written_is_not_left_to_the_garbage_collector(clickhouse):
    """The driver's own circle of objects is; rows in it waited there, some 20 MB of each insert."""
    clickhouse.insert([fact(1)])
    gc.collect()
    gc.disable()
    try:
        clickhouse.insert([fact(n, handles=(n, n + 1)) for n in range(2, 1002)])
        assert gc.collect() < 100
    finally:
        gc.enable()
