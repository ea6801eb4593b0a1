"""The small rules, each by its edges."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribune.attribute.decide import Case, Found, decide, silent_ms
from attribune.attribute.evidence import touches_in
from attribune.attribute.features import Features, contradict, features, os_of
from attribune.attribute.keys import device_id_keys, network, touch_id_keys, week
from attribune.attribute.presets import ADJUST, APPSFLYER, ATTRIBUNE
from attribune.attribute.state import SESSIONS_MAX, seen
from attribune.attribute.window import age_ms, eligible, longest_ms, lookback_ms, tier
from attribune.model.activity import Referrer, ReferrerSource
from attribune.model.ids import PartnerId, Position, ProductId, uuid7
from attribune.model.outcome import LossReason
from attribune.model.policy import DAY_MS, HOUR_MS, MatchMethod, Policy, Tier, Windows
from attribune.model.touch import Touch, TouchKind, TouchOrigin

NOW = 1_772_323_200_000
PRODUCT = ProductId("game")


def touch(n: int = 1, at_ms: int = NOW - HOUR_MS, **more: object) -> Touch:
    words = {
        "kind": TouchKind.CLICK,
        "product": PRODUCT,
        "partner": PartnerId("acme"),
        "origin": TouchOrigin.REDIRECT,
        "received_at_ms": at_ms,
    }
    return Touch(id=uuid7(at_ms, bytes([n]) * 10), occurred_at_ms=at_ms, **(words | more))


def found(one: Touch, method: MatchMethod = MatchMethod.DEVICE_ID, **more: object) -> Found:
    return Found(touch=one, method=method, position=Position(1), **more)


def case(policy: Policy = ATTRIBUNE, **more: object) -> Case:
    return Case(**({"at_ms": NOW, "platform": "android", "policy": policy} | more))


# --- windows


@pytest.mark.parametrize(
    ("age", "lookback", "expected"),
    [(0, 1, True), (1, 1, False), (-1, 10, False), (9, 10, True), (10, 10, False), (0, 0, False)],
)
def test_the_window_is_half_open(age: int, lookback: int, *, expected: bool) -> None:
    assert eligible(age, lookback) is expected


def test_a_small_skew_is_no_age_and_a_large_one_is_negative() -> None:
    assert age_ms(NOW + 1000, NOW, is_proven=False, clock_skew_ms=1000) == 0
    assert age_ms(NOW + 1001, NOW, is_proven=False, clock_skew_ms=1000) == -1001
    assert age_ms(NOW + DAY_MS, NOW, is_proven=True, clock_skew_ms=0) == 0


def test_the_most_particular_window_wins() -> None:
    link_day = {"spring": Windows(click_deterministic_ms=2)}
    partner_day = {"acme": Windows(click_deterministic_ms=3, click_probabilistic_ms=4)}
    policy = Policy(link_windows=link_day, partner_windows=partner_day)
    step = Tier.CLICK_DETERMINISTIC
    assert lookback_ms(touch(link="spring", click_lookback_ms=1), step, policy) == 1
    assert lookback_ms(touch(link="spring"), step, policy) == 2
    assert lookback_ms(touch(link="other"), step, policy) == 3
    assert lookback_ms(touch(partner=PartnerId("zeta")), step, policy) == 7 * DAY_MS
    assert lookback_ms(touch(link="spring"), Tier.CLICK_PROBABILISTIC, policy) == 4
    assert (
        longest_ms(Policy(link_windows={"x": Windows(impression_deterministic_ms=30 * DAY_MS)}))
        == 30 * DAY_MS
    )


def test_a_window_that_nobody_names_is_off() -> None:
    """As in a policy file that says null."""
    policy = Policy(windows=Windows(click_probabilistic_ms=HOUR_MS))
    assert lookback_ms(touch(), Tier.CLICK_DETERMINISTIC, policy) == 0
    assert reasons(decide(case(policy), [found(touch())])) == [LossReason.WINDOW_OFF]


def test_a_touch_cannot_widen_the_window_of_a_guess() -> None:
    own = touch(click_lookback_ms=30 * DAY_MS)
    assert lookback_ms(own, Tier.CLICK_PROBABILISTIC, ATTRIBUNE) == 6 * HOUR_MS


def test_presets_hold_what_the_vendors_publish() -> None:
    """AppsFlyer KB 208338403, 115002587066, 360009305817; Adjust help: attribution windows, waterfall, reattribution."""
    assert APPSFLYER.windows.click_deterministic_ms == 7 * DAY_MS
    assert APPSFLYER.windows.impression_deterministic_ms == DAY_MS
    assert APPSFLYER.windows.click_probabilistic_ms == DAY_MS
    assert APPSFLYER.reinstall_ms == 90 * DAY_MS
    assert APPSFLYER.inactivity_ms == 0
    assert ADJUST.windows.click_probabilistic_ms == 6 * HOUR_MS
    assert ADJUST.windows.impression_probabilistic_ms == 6 * HOUR_MS
    assert ADJUST.inactivity_ms == ADJUST.reattribution_ms == 7 * DAY_MS


# --- deciding


def reasons(decision: object) -> list[str | None]:
    return [c.lost_because for c in decision.candidates]


def test_ties_go_to_the_higher_touch_id() -> None:
    low, high = touch(1), touch(2)
    decision = decide(case(), [found(low), found(high)])
    assert decision.credit.touch == high.id
    assert reasons(decision) == [None, LossReason.TIE]


def test_every_loser_has_one_reason() -> None:
    clicks = [
        touch(1),
        touch(2, NOW - 2 * HOUR_MS),
        touch(3, NOW - 8 * DAY_MS),
        touch(4, NOW + HOUR_MS),
        touch(5, kind=TouchKind.IMPRESSION),
    ]
    decision = decide(case(), [*map(found, clicks), found(touch(6), is_used=True)])
    by_touch = {c.touch: c.lost_because for c in decision.candidates}
    assert [by_touch[c.id] for c in clicks] == [
        None,
        LossReason.OLDER,
        LossReason.OUTSIDE_WINDOW,
        LossReason.AFTER_CONVERSION,
        LossReason.LOWER_TIER,
    ]
    assert LossReason.TOUCH_USED in by_touch.values()


def test_losers_beyond_the_limit_are_counted_by_reason() -> None:
    many = [found(touch(n, NOW - n * 1000)) for n in range(1, 31)]
    decision = decide(case(), many)
    assert len(decision.candidates) == 21
    assert decision.not_listed == {"OLDER": 9}


def test_a_used_touch_may_win_again_where_the_policy_says_so() -> None:
    policy = msgspec.structs.replace(ATTRIBUNE, one_touch_one_conversion=False)
    assert decide(case(policy), [found(touch(), is_used=True)]).credit is not None


def test_a_shared_address_guesses_nothing() -> None:
    guess = found(touch(), MatchMethod.PROBABILISTIC)
    assert decide(case(devices_at_address=10), [guess]).credit.confidence == 0.1
    crowded = decide(case(devices_at_address=11), [guess])
    assert reasons(crowded) == [LossReason.SHARED_ADDRESS]


def test_impressions_by_guess_are_off_by_default_and_on_with_adjust() -> None:
    seen_ad = found(touch(kind=TouchKind.IMPRESSION), MatchMethod.PROBABILISTIC)
    assert reasons(decide(case(), [seen_ad])) == [LossReason.WINDOW_OFF]
    assert decide(case(ADJUST), [seen_ad]).credit is not None


def test_a_tier_that_the_order_leaves_out_is_off() -> None:
    policy = msgspec.structs.replace(ATTRIBUNE, order=(Tier.CLICK_DETERMINISTIC,))
    seen_ad = found(touch(kind=TouchKind.IMPRESSION))
    assert reasons(decide(case(policy), [seen_ad])) == [LossReason.WINDOW_OFF]
    assert decide(case(policy), [seen_ad, found(touch())]).credit is not None


def test_a_server_told_touch_has_no_skew() -> None:
    told = touch(at_ms=NOW + 1000, origin=TouchOrigin.S2S)
    assert reasons(decide(case(), [found(told)])) == [LossReason.AFTER_CONVERSION]


def test_a_return_needs_a_touch_after_the_install() -> None:
    policy = msgspec.structs.replace(ATTRIBUNE, inactivity_ms=0)
    back = case(policy, return_lookback_ms=DAY_MS, installed_at_ms=NOW - 10)
    assert reasons(decide(back, [found(touch(is_retargeting=True))])) == [LossReason.BEFORE_INSTALL]


@given(st.permutations(range(8)))
def test_the_order_in_which_touches_are_found_does_not_matter(order: list[int]) -> None:
    every = [
        found(touch(n, NOW - (n % 3) * 1000, ids={"gaid": f"g{n % 2}"}), method)
        for n, method in enumerate([*MatchMethod][:4] * 2)
    ]
    assert decide(case(), [every[i] for i in order]) == decide(case(), every)


def test_silence_is_counted_from_the_last_sign_before() -> None:
    assert silent_ms(((0, 10), (50, 90)), 60) == 0
    assert silent_ms(((0, 10), (50, 90)), 40) == 30
    assert silent_ms(((50, 90),), 40) > 10**15


# --- features, keys, evidence


def test_unknown_contradicts_nothing() -> None:
    phone = features("de-DE", "15.1", "Pixel 8")
    assert phone == Features("de", "15", "pixel 8")
    assert not contradict(phone, Features())
    assert not contradict(phone, features("de_AT", "15", "K"))
    assert contradict(phone, features("fr", None, None))
    assert contradict(phone, features(None, "14.0", None))
    assert contradict(phone, features(None, None, "SM-S911B"))


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("Mozilla/5.0 (Linux; Android 10; K)", "android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6)", "ios"),
        ("Mozilla/5.0 (Windows NT 10.0)", "other"),
        (None, ""),
    ],
)
def test_operating_systems_by_a_glance(agent: str | None, expected: str) -> None:
    assert os_of(agent) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("81.2.69.142", "81.2.69.142"),
        ("::ffff:81.2.69.142", "81.2.69.142"),
        ("2a02:8108:1:2:3::4", "2a02:8108:1:2::"),
        ("10.0.0.1", None),
        ("127.0.0.1", None),
        ("169.254.1.1", None),
        ("100.64.0.1", None),
        ("::1", None),
        ("fe80::1", None),
        ("no address", None),
        ("81.2.69.1420", None),
        ("81.2.069.142", None),
        ("81.2.69.142\n", None),
        (None, None),
    ],
)
def test_only_public_addresses_say_a_place(address: str | None, expected: str | None) -> None:
    assert network(address) == expected


def test_an_address_that_is_plainly_public_is_so_by_the_book() -> None:
    """Whatever is told at a glance must be what the standard library says after a long look."""
    others = ("0", "2", "16", "18", "51", "64", "88", "100", "168", "254")
    for text in map(".".join, product(map(str, range(256)), others, others, ["113"])):
        assert (network(text) == text) is ip_address(text).is_global


@pytest.mark.parametrize("form", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("upper", [False, True])
def test_hashed_identifiers_meet_plain_ones(form: str, *, upper: bool) -> None:
    value = "38400000-8cf0-11bd-b23e-10b96e40000d"
    hashed = hashlib.new(form, (value.upper() if upper else value).encode()).hexdigest()
    touch_keys = touch_id_keys(PRODUCT, {f"{form}_gaid": hashed.upper()})
    assert set(touch_keys) <= set(device_id_keys(PRODUCT, [("gaid", value)]))
    assert not set(touch_keys) & set(device_id_keys(ProductId("other"), [("gaid", value)]))
    assert not set(touch_keys) & set(device_id_keys(PRODUCT, [("idfa", value)]))


def test_touch_ids_are_found_in_referrers_and_links() -> None:
    name = str(uuid7(NOW, b"0123456789"))
    play = Referrer(
        source=ReferrerSource.PLAY, value=f"utm_source=x&attribune_click={name.upper()}"
    )
    assert touches_in((play,), None) == (name,)
    assert touches_in((), f"https://go.example/x?attribune_click={name}") == (name,)
    assert touches_in((), f"game://open#attribune_click={name}") == (name,)
    whole = Referrer(source=ReferrerSource.OTHER, value=f"referrer=attribune_click%3D{name}")
    assert touches_in((whole,), None) == (name,)
    for junk in (
        "attribune_click=%00",
        "attribune_click=abc",
        "http://[bad",
        "attribune_click=x" + "&" * 1000,
        "utm_source=google-play" + "&" * 1000,
        "attribune_click=" + "9" * 5000,
        "referrer=" * 20_000 + "x",
    ):
        assert touches_in((Referrer(source=ReferrerSource.PLAY, value=junk),), junk) == ()


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=12))
def test_sessions_do_not_depend_on_the_order_of_signs(times: list[int]) -> None:
    forward: tuple[tuple[int, int], ...] = ()
    backward: tuple[tuple[int, int], ...] = ()
    for at in sorted(times):
        forward = seen(forward, at)
    for at in sorted(times, reverse=True):
        backward = seen(backward, at)
    assert forward == backward
    assert len(forward) <= SESSIONS_MAX


def test_a_week_bucket_fits_its_two_bytes_for_a_thousand_years() -> None:
    assert week(0) == 1
    assert week(NOW) == NOW // (7 * DAY_MS) + 1
    assert week(32_503_680_000_000) < 2**16


def test_a_guess_stands_on_its_own_step() -> None:
    assert tier(TouchKind.CLICK, MatchMethod.CLAIM) is Tier.CLICK_DETERMINISTIC
    assert tier(TouchKind.IMPRESSION, MatchMethod.PROBABILISTIC) is Tier.IMPRESSION_PROBABILISTIC
