"""Reading a followed link: every word of the trade, and everything that says nothing."""

from __future__ import annotations

import pytest

from attribune.collect.absent import is_absent, is_absent_id
from attribune.collect.links import lookback_ms, parse_query, read_touch
from attribune.collect.words import DEVICE_IDS, FREE, HASHES, NAMES, STEERING
from attribune.model.control import Link
from attribune.model.ids import LinkId, PartnerId, ProductId, TouchId
from attribune.model.money import Money
from attribune.model.touch import LinkHit, Touch, TouchKind, TouchOrigin

LINK = Link(id=LinkId("l"), product=ProductId("p"), partner=PartnerId("acme"))


def read(query: str, link: Link = LINK, **hit) -> Touch:
    made = LinkHit(
        id=TouchId("t"), kind=TouchKind.CLICK, link=link.id, received_at_ms=5, query=query, **hit
    )
    return read_touch(made, link)


@pytest.mark.parametrize(
    ("field", "name"), [(field, name) for field, names in NAMES.items() for name in names]
)
def test_every_name_of_a_field_means_it(field, name):
    touch = read(f"{name}=v%201")
    assert getattr(touch, field) == "v 1"
    assert touch.extra == {}


@pytest.mark.parametrize(
    ("field", "name"), [(field, name) for field, names in DEVICE_IDS.items() for name in names]
)
@pytest.mark.parametrize("prefix", ["", *(f"{hash_}_" for hash_ in HASHES)])
def test_device_ids_have_our_names_in_all_forms(field, name, prefix):
    assert read(f"{prefix}{name}=ab-12").ids == {f"{prefix}{field}": "ab-12"}


@pytest.mark.parametrize(
    ("field", "name"), [(field, name) for field, names in FREE.items() for name in names]
)
def test_free_fields_are_kept_under_our_name(field, name):
    assert read(f"{name}=x").extra == {field: "x"}


STEERED = {
    "ip": ("203.0.113.7", "ip", "203.0.113.7"),
    "user_agent": ("UA", "user_agent", "UA"),
    "language": ("de", "language", "de"),
    "os_version": ("15", "os_version", "15"),
    "model": ("Pixel", "model", "Pixel"),
    "click_lookback": ("7d", "click_lookback_ms", 7 * 86_400_000),
    "view_lookback": ("12h", "view_lookback_ms", 12 * 3_600_000),
    "is_retargeting": ("true", "is_retargeting", True),
    "cost_model": ("CPI", "cost_model", "CPI"),
}


@pytest.mark.parametrize("field", STEERED)
@pytest.mark.parametrize("how", ["stranger", "trusted", "opened"])
def test_steering_counts_only_when_allowed(field, how):
    said, attribute, meant = STEERED[field]
    link = Link(
        **{**{f: getattr(LINK, f) for f in ("id", "product", "partner")}, "opens": (field,)}
    )
    for name in STEERING[field]:
        touch = read(f"{name}={said}", link if how == "opened" else LINK, trusted=how == "trusted")
        if how == "stranger":
            assert getattr(touch, attribute) in {None, False}
            assert touch.extra == {name: said}
        else:
            assert getattr(touch, attribute) == meant
            assert touch.extra == {}


@pytest.mark.parametrize("prefix", ["", "af_"])
def test_cost_is_money_from_a_trusted_hit(prefix):
    query = f"{prefix}cost{'_value' if prefix else ''}=0.255&{prefix}cost_currency=usd"
    assert read(query, trusted=True).cost == Money(amount_minor=26, currency="USD")
    assert read(query).cost is None


@pytest.mark.parametrize(
    "query",
    [
        "cost=1.5",
        "cost=x&cost_currency=EUR",
        "cost=-1&cost_currency=EUR",
        "cost=1&cost_currency=XXX",
    ],
)
def test_cost_that_is_no_money_is_kept_as_said(query):
    touch = read(query, trusted=True)
    assert touch.cost is None
    assert touch.extra == dict(part.split("=") for part in query.split("&"))


def test_a_trusted_hit_says_nothing_of_the_server_it_came_from():
    touch = read("click_id=1", trusted=True, ip="192.0.2.1", user_agent="okhttp", language="en")
    assert (touch.ip, touch.user_agent, touch.language) == (None, None, None)
    assert touch.origin is TouchOrigin.S2S


def test_a_person_brings_address_agent_and_hints():
    touch = read(
        "", ip="192.0.2.1", user_agent="UA", language="de", model="Pixel 8", os_version="15"
    )
    assert (touch.ip, touch.user_agent, touch.language) == ("192.0.2.1", "UA", "de")
    assert (touch.model, touch.os_version) == ("Pixel 8", "15")
    assert touch.origin is TouchOrigin.REDIRECT
    assert touch.occurred_at_ms == touch.received_at_ms == 5


def test_what_the_link_stores_wins_and_the_query_is_kept():
    link = Link(
        **{
            **{f: getattr(LINK, f) for f in ("id", "product", "partner")},
            "campaign": "spring",
            "is_retargeting": True,
            "deep_link": "app://x",
        }
    )
    touch = read("c=summer&site_id=9", link)
    assert (touch.campaign, touch.extra, touch.site_id) == ("spring", {"c": "summer"}, "9")
    assert touch.is_retargeting
    assert touch.deep_link == "app://x"


def test_of_several_names_the_first_of_the_table_is_taken_in_any_order():
    for query in ("clickid=b&click_id=a&tid=c", "click_id=a&tid=c&clickid=b"):
        touch = read(query)
        assert touch.partner_click_id == "a"
        assert touch.extra == {"clickid": "b", "tid": "c"}


def test_a_name_said_twice_keeps_the_first_and_says_so():
    touch = read("foo=1&foo=2&click_id=a&click_id=b&bar=1&bar=1")
    assert (touch.extra, touch.partner_click_id) == ({"foo": "1", "bar": "1"}, "a")
    assert touch.not_kept == ("foo", "click_id")


ABSENT = [
    "", "null", "NULL", "{sub4}", "(clickid)", "${CLICK_ID}", "{{campaign.name}}", "{{ ad.id }}", "$$ip$$",
    "$$param(foo)", "__CLICKID__", "%%CLICK_ID%%", "[CLICK_ID]", "[clickid]", "<clickid>",
    "00000000-0000-0000-0000-000000000000", "0000000000000000",
]  # fmt: skip
PRESENT = [
    "0", "1", "nullable", "a{sub4}", "{sub4}b", "{}", "(", "(2024)", "[US]", "[Brand] spring", "__", "__x__",
    "$5", "$$", "100%", "n", '{"a":1}', "0000-00a0", "000", "-", "<3",
]  # fmt: skip


@pytest.mark.parametrize("value", ABSENT)
def test_values_that_say_nothing(value):
    assert is_absent(value)
    assert is_absent_id(value)


@pytest.mark.parametrize("value", PRESENT)
def test_values_that_say_something(value):
    assert not is_absent(value)


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "000-000",
        "9f89c84a559f573636a47ff8daed0d33",
        "B602D594AFD2B0B327E07A06F36CA6A7E42546D0",
    ],
)
def test_zero_ids_and_their_hashes_are_absent_as_ids(value):
    assert not is_absent(value)
    assert is_absent_id(value)
    assert read(f"gaid={value}").ids == {}


@pytest.mark.parametrize(
    "query",
    [f"gaid={v}" for v in ("", "null", "%7Bgaid%7D", "00000000-0000-0000-0000-000000000000")],
)
def test_an_absent_id_is_no_id_and_no_extra(query):
    touch = read(query)
    assert (touch.ids, touch.extra, touch.not_kept) == ({}, {}, ())


def test_long_values_and_the_65th_parameter_are_named_and_never_cut():
    long = "x" * 2049
    query = "&".join(f"p{n}=1" for n in range(63)) + f"&long={long}&p63=1&p64=1&p65=1"
    touch = read(query)
    assert len(touch.extra) == 64
    assert touch.not_kept == ("long", "p64", "p65")
    assert read("a=" + "x" * 2048).extra["a"] == "x" * 2048


@pytest.mark.parametrize("value", ["%ff", "a%c3", "%00", "a%0d%0ab", "%ed%a0%80"])
def test_bytes_that_are_no_text_are_named_and_not_mended(value):
    touch = read(f"x={value}&y=1")
    assert touch.extra == {"y": "1"}
    assert touch.not_kept == ("x",)


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("&&=&a", [("a", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("a+b=c+d", [("a b", "c d")]),
        ("%7Ecampaign=x", [("~campaign", "x")]),
        ("a=%C3%A9", [("a", "é")]),
        ("a=é", [("a", "é")]),
        ("a=%zz", [("a", "%zz")]),
        ("%ff=1", [("%ff", "1")]),
    ],
)
def test_queries_are_taken_apart(query, pairs):
    assert parse_query(query) == (pairs, [])


@pytest.mark.parametrize(
    ("text", "ms"),
    [("7d", 604_800_000), ("12h", 43_200_000), ("30m", 1_800_000), ("45s", 45_000), ("604800000", 604_800_000),
     ("5ms", 5), ("0", 0), ("366d", 366 * 86_400_000), ("367d", None), ("-1", None), ("1.5d", None), ("7 d", None),
     ("", None), ("d", None), ("\N{ARABIC-INDIC DIGIT ONE}d", None)],
)  # fmt: skip
def test_windows(text, ms):
    assert lookback_ms(text) == ms


@pytest.mark.parametrize("name", ["click_lookback", "ip"])
def test_steering_that_cannot_be_read_is_kept_as_said(name):
    touch = read(f"{name}=soon", trusted=True)
    assert touch.extra == {name: "soon"}
    assert touch.click_lookback_ms is None
    assert touch.ip is None
