"""Addresses of hosting providers: what is looked up, against Python's own ipaddress, and what follows from the list."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tale import House, PlainEnricher, Told, read_tale, tell

from attribune.attribute.decide import Case, Found, decide
from attribune.attribute.hosting import is_hosting
from attribune.attribute.presets import PRESETS
from attribune.attribute.replay import Bench, WhatIf, replay
from attribune.collect.links import read_touch
from attribune.engines.memory import MemoryStore
from attribune.model.codec import decode, encode
from attribune.model.control import Change, PolicySet
from attribune.model.ids import PartnerId, PolicyVersion, Position, ProductId, uuid7
from attribune.model.outcome import LossReason
from attribune.model.policy import MatchMethod, Policy
from attribune.model.position import Entry, Topic
from attribune.model.touch import Touch, TouchKind, TouchOrigin
from attribune.registry.hosting import checked_networks
from attribune.registry.view import Registry

MAPPED = IPv6Network("::ffff:0:0/96")

# Few bits differ, so that networks hold each other, touch, and have addresses at their edges.
_V4 = st.builds(
    lambda bits, prefix: f"{IPv4Address(0x51024500 | bits)}/{prefix}",
    st.integers(0, 255),
    st.integers(22, 32),
)
_V6 = st.builds(
    lambda bits, prefix: f"{IPv6Address((0x2A028108 << 96) | (bits << 60))}/{prefix}",
    st.integers(0, 255),
    st.integers(56, 128),
)
_MAPPED = st.builds(
    lambda bits, prefix: f"::ffff:{IPv4Address(0x51024500 | bits)}/{prefix}",
    st.integers(0, 255),
    st.integers(96 + 22, 128),
)
_NETWORKS = st.lists(
    st.one_of(_V4, _V6, _MAPPED).map(lambda text: str(ip_network(text, strict=False))),
    min_size=1,
    max_size=12,
)


def listed(*networks: str) -> Policy:
    return Policy(hosting_networks=tuple(networks))


def by_ipaddress(networks: list[str], address: str) -> bool:
    """The same question, asked of each network in turn."""

    def plain(text: str) -> IPv4Address | IPv6Address:
        read = ip_address(text)
        return getattr(read, "ipv4_mapped", None) or read

    at = plain(address)
    for text in networks:
        network = ip_network(text)
        first, last = plain(str(network[0])), plain(str(network[-1]))
        if first.version == at.version and first <= at <= last:
            return True
    return False


@st.composite
def asked(draw: st.DrawFn) -> tuple[list[str], str]:
    """Networks, and an address in, at the edge of, or near one of them, in either form of IPv4."""
    networks = draw(_NETWORKS)
    network = ip_network(draw(st.sampled_from(networks)))
    edge = int(draw(st.sampled_from([network[0], network[-1]]))) + draw(st.integers(-2, 2))
    address = IPv4Address(edge) if network.version == 4 else IPv6Address(edge)
    if address.version == 4 and draw(st.booleans()):
        return networks, f"::ffff:{address}"
    return networks, str(address)


@given(asked())
def test_a_look_says_what_ipaddress_says_of_each_network(case: tuple[list[str], str]) -> None:
    networks, address = case
    expected = by_ipaddress(networks, address)
    assert is_hosting(listed(*networks), address) is expected
    assert is_hosting(listed(*checked_networks(networks)), address) is expected


@given(asked(), st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(case, chance) -> None:
    networks, address = case
    mixed = [*networks, *networks]
    chance.shuffle(mixed)
    assert checked_networks(mixed) == checked_networks(networks)
    assert is_hosting(listed(*mixed), address) is is_hosting(listed(*networks), address)


@pytest.mark.parametrize("address", [None, "", "nowhere", "81.2.69", "81.2.69.142/32", "::%"])
def test_what_is_no_address_is_no_providers(address: str | None) -> None:
    assert is_hosting(listed("0.0.0.0/0", "::/0"), address) is False


def test_an_address_between_two_that_are_listed_is_in_neither() -> None:
    pair = listed("81.2.69.1/32", "81.2.69.3/32", "2a02::1/128", "2a02::3/128")
    addresses = [*(f"81.2.69.{n}" for n in range(5)), *(f"2a02::{n}" for n in range(5))]
    assert [is_hosting(pair, a) for a in addresses] == [False, True, False, True, False] * 2


def test_each_list_answers_for_itself() -> None:
    """Also when a list is let go and another takes its place in memory, and when there are more than are kept ready."""
    for n in range(200):
        policy = listed(f"81.2.{n}.0/24")
        assert is_hosting(policy, f"81.2.{n}.9")
        assert not is_hosting(policy, f"81.2.{n + 1}.9")
    assert not is_hosting(Policy(), "81.2.0.9")


def test_a_large_list_is_read_once_and_not_at_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = listed(*(f"{IPv4Address(0x51000000 + (n << 9))}/24" for n in range(20_000)))
    assert is_hosting(policy, "81.0.0.7")

    def again(_: str) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("attribune.attribute.hosting._range", again)
    renamed = msgspec.structs.replace(policy, name="other")
    assert is_hosting(renamed, "81.0.2.255")
    assert not is_hosting(renamed, "81.0.1.0")


# --- what follows


NOW = 1_772_323_200_000


@pytest.mark.parametrize("at_touch", [False, True])
@pytest.mark.parametrize("at_open", [False, True])
@pytest.mark.parametrize("is_allowed", [False, True])
def test_either_address_is_enough(*, at_touch: bool, at_open: bool, is_allowed: bool) -> None:
    touch = Touch(
        id=uuid7(NOW - 1000, b"0123456789"),
        kind=TouchKind.CLICK,
        product=ProductId("game"),
        partner=PartnerId("acme"),
        origin=TouchOrigin.REDIRECT,
        received_at_ms=NOW - 1000,
        occurred_at_ms=NOW - 1000,
    )
    guess = Found(
        touch=touch,
        method=MatchMethod.PROBABILISTIC,
        position=Position(1),
        is_hosting=at_touch,
    )
    policy = Policy(probabilistic_on_hosting=is_allowed)
    case = Case(at_ms=NOW, platform="android", policy=policy, is_hosting=at_open)
    lost = LossReason.HOSTING_ADDRESS if (at_touch or at_open) and not is_allowed else None
    assert [c.lost_because for c in decide(case, [guess]).candidates] == [lost]


TALE = """
    day 0 08:00  policy  attribune hosting_networks={networks}
    day 0 09:00  click   acme/spring gaid=none ip=81.2.69.142
    day 0 09:05  click   zeta/brand gaid=none ip=2a02:8108:1:2::1
    day 0 09:10  open    device=d1 gaid=none ip=81.2.69.142
    day 0 09:15  open    device=d2 gaid=none ip=2a02:8108:1:2::9
"""


def bench(house: House) -> Bench:
    return Bench(house.journal, Registry(), MemoryStore(), PlainEnricher(), read_touch)


def policy_of(told: Told) -> Policy:
    return next(
        change.record.policy
        for topic, change in told.entries
        if topic is Topic.CONTROL and hasattr(change.record, "policy")
    )


def test_another_list_alone_decides_otherwise_and_the_same_list_the_same() -> None:
    told = read_tale(TALE.format(networks="81.2.69.0/24"))
    house = tell(told)
    upto, rules = house.journal.end(), policy_of(told)
    for policy in (None, rules):
        again = replay(bench(house), WhatIf(upto, policy))
        assert (again.judged, again.changed, again.differences) == (2, 0, 0)
    turned = msgspec.structs.replace(rules, hosting_networks=("2a02:8108::/32",))
    again = replay(bench(house), WhatIf(upto, turned))
    assert (again.changed, again.gains, again.losses) == (2, {"acme": 1}, {"zeta": 1})
    allowed = msgspec.structs.replace(rules, probabilistic_on_hosting=True)
    again = replay(bench(house), WhatIf(upto, allowed))
    assert (again.changed, again.gains, again.losses) == (1, {"acme": 1}, {})


def test_the_presets_of_others_guess_there_and_ours_does_not() -> None:
    assert {name: p.probabilistic_on_hosting for name, p in PRESETS.items()} == {
        "attribune": False,
        "appsflyer": True,
        "adjust": True,
    }
    assert all(preset.hosting_networks == () for preset in PRESETS.values())


# --- what older houses have kept


def test_rules_from_before_there_was_a_list_are_read_with_an_empty_one() -> None:
    told = read_tale("day 0 08:00  policy  adjust hold_ms=1h")
    _, change = told.entries[-1]
    words = msgspec.to_builtins(change)
    for name in ("hosting_networks", "probabilistic_on_hosting"):
        del words["record"]["policy"][name]
    payload = b"\x01" + msgspec.msgpack.encode(words)
    read = decode(Entry(Position(1), Topic.CONTROL, payload))
    policy = read.record.policy
    assert (policy.name, policy.hosting_networks) == ("adjust", ())
    assert policy.hold_ms == 3_600_000
    assert not is_hosting(policy, "81.2.69.142")


def test_versions_of_rules_share_what_their_lists_have_in_common() -> None:
    """A list may be long, every version has it whole, and every role keeps every version."""
    networks = [f"{IPv4Address(0x51000000 + (n << 9))}/24" for n in range(5000)]
    payloads = []
    for n in range(10):
        product = ProductId(f"game{n % 2}")  # each list is set twice, for either product
        policy = Policy(hosting_networks=(*networks[n // 2 :], f"2a03:{n // 2}::/32"))
        rules = PolicySet(product=product, version=PolicyVersion(f"v{n}"), policy=policy)
        payloads.append(encode(Change(at_ms=NOW, record=rules)))
    registry = Registry()
    # Known before, so that the interpreter's own table of names does not happen to grow meanwhile.
    known = list(map(sys.intern, networks))
    gc.collect()
    tracemalloc.start()
    for n, payload in enumerate(payloads):
        entry = Entry(Position(n + 1), Topic.CONTROL, payload)
        registry.apply(entry.position, decode(entry))
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A network takes some 70 bytes as text and 8 in a list: ten lists of their own would be 780 for each.
    assert len(known) == 5000
    assert kept < 5000 * (70 + 5 * 8 + 90)
    ours, theirs = (registry.policies[name][-1][1].policy for name in ("game0", "game1"))
    assert ours.hosting_networks is theirs.hosting_networks
    assert ours.hosting_networks == (*networks[4:], "2a03:4::/32")
