"""Whatever the front door lets through, the attributor judges it: one record must never stop the others."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tale import APP, DAY_ZERO_MS, PRODUCT, House, read_tale

from attribune.attribute.attributor import Attributor
from attribune.collect.links import read_touch
from attribune.engines.enrich import UaEnricher
from attribune.engines.system import MemoryClock
from attribune.model.activity import (
    Device,
    Evidence,
    Open,
    Platform,
    Referrer,
    ReferrerSource,
    Sender,
)
from attribune.model.ids import DeviceId, LinkId, RecordId, UserId, uuid7
from attribune.model.position import Topic
from attribune.model.touch import LinkHit, TouchKind
from attribune.registry.view import Registry
from attribune.roles.attributor import AttributorRole
from attribune.settings import Settings

TEXT = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "attribune_click=" + str(uuid7(DAY_ZERO_MS, b"0123456789")),
            "referrer=" * 3000,
            "referrer=attribune_click%3D",
            "http://[::1",
            "//\\@:/?#",
            "%ff%fe%00",
            "\uff11\uff18.2",
            "81.2.69.142",
            "fe80::1%eth0",
            "::ffff:1.2.3.4",
            "\x00",
            "-",
            ".",
            "_",
        ]
    ),
)
MAYBE = st.none() | TEXT
IDS = st.dictionaries(
    st.sampled_from(["gaid", "idfa", "sha1_gaid", "x"]), TEXT.filter(bool), max_size=3
)
TIMES = st.integers(0, DAY_ZERO_MS + 10**9)


@st.composite
def hits(draw: st.DrawFn) -> LinkHit:
    at = draw(TIMES)
    return LinkHit(
        id=uuid7(at, draw(st.binary(min_size=10, max_size=10))),
        kind=draw(st.sampled_from(TouchKind)),
        link=LinkId(draw(st.sampled_from(["acme-spring", "nobody"]))),
        received_at_ms=at,
        query=draw(TEXT),
        ip=draw(MAYBE),
        user_agent=draw(MAYBE),
        language=draw(MAYBE),
        model=draw(MAYBE),
        os_version=draw(MAYBE),
        trusted=draw(st.booleans()),
    )


@st.composite
def said(draw: st.DrawFn) -> Open | Evidence:
    device = Device(
        id=DeviceId(draw(st.sampled_from(["d1", "d2"]))),
        platform=draw(st.sampled_from(Platform)),
        os_version=draw(MAYBE),
        model=draw(MAYBE),
        ids=draw(IDS),
        locale=draw(MAYBE),
    )
    kind = draw(st.sampled_from([Open, Evidence]))
    referrer = st.builds(Referrer, source=st.sampled_from(ReferrerSource), value=TEXT)
    at = draw(TIMES)
    return kind(
        id=RecordId(draw(st.sampled_from(["r1", "r2", "r3", "r4"]))),
        product=PRODUCT,
        app=APP,
        sender=draw(st.sampled_from(Sender)),
        received_at_ms=at,
        occurred_at_ms=min(at, draw(TIMES)),
        device=device,
        user_id=draw(st.none() | st.builds(UserId, TEXT.filter(bool))),
        ip=draw(MAYBE),
        user_agent=draw(MAYBE),
        referrers=tuple(draw(st.lists(referrer, max_size=2))),
        link_opened=draw(MAYBE),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(hits() | said(), min_size=1, max_size=6))
def test_no_record_stops_the_attributor(records: list[LinkHit | Open | Evidence]) -> None:
    house = House()
    house.append(read_tale("day 0 00:00 click acme/spring").entries)
    house.append((Topic.TOUCHES if isinstance(r, LinkHit) else Topic.ACTIVITY, r) for r in records)
    registry = Registry()
    work = Attributor(registry, house.store, UaEnricher(), read_touch)
    role = AttributorRole(
        house.journal,
        registry,
        work,
        house.answers,
        MemoryClock(DAY_ZERO_MS),
        Settings(read_entries_max=2),
    )
    while role.step():
        pass
    placed = {o.about for o in house.outcomes()}
    accepted = {e.position for e in house.journal.read((Topic.ACTIVITY,), 0, 100)}
    assert role.state()["counters"]["set_aside"] == 0
    assert accepted <= placed
