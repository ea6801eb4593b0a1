"""The template engine: every dialect, every function, and that no value can be more than a value."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import md5, sha1, sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribune.model.errors import Invalid
from attribune.postback.dialects import SPEECH, Dialect
from attribune.postback.functions import FUNCTIONS
from attribune.postback.macros import FAMILIES, MACROS, Reach, Shape, macro, reaches
from attribune.postback.template import CHARACTERS_MAX, MACROS_MAX, allowed, read

NOON = 1_772_366_400_123
VALUES: dict[str, Any] = {
    "partner_click_id": "Click-1",
    "gaid": "AB-CD",
    "campaign": "spring sale",
    "revenue": "12.345",
    "revenue_minor": 1234,
    "at": NOON,
    "conversion_at": NOON,
    "touch_at": NOON - 1000,
    "event": "buy",
    "event_name": "SALE",
    "extra.af_sub1": "s1",
    "extra.promo": "x",
    "idfa": None,
    "country": "",
}


def filled(text: str, dialect: Dialect = Dialect.ATTRIBUNE) -> str:
    return read(text, dialect).fill(VALUES).text


@pytest.mark.parametrize(
    ("dialect", "text", "said"),
    [
        (Dialect.ATTRIBUNE, "c={partner_click_id}", "c=Click-1"),
        (Dialect.ATTRIBUNE, "{ idfa || gaid }", "AB-CD"),
        (Dialect.ATTRIBUNE, "{idfa|md5||gaid|lower|bare}", "abcd"),
        (Dialect.ATTRIBUNE, "(clickid) $$sdk", "(clickid) $$sdk"),
        (Dialect.ADJUST, "{idfa||gps_adid}", "AB-CD"),
        (Dialect.ADJUST, "{created_at}&{click_time}", "1772366400&1772366399"),
        (Dialect.ADJUST, "{event}:{event_name}", "buy:SALE"),
        (Dialect.APPSFLYER, "c=(clickid)&t=(install-unix-ts)", "c=Click-1&t=1772366400"),
        (Dialect.APPSFLYER, "$$click(clickid)-$$sdk(advertiserId)", "Click-1-AB-CD"),
        (Dialect.APPSFLYER, "(sha1-advertiserId)", sha1(b"AB-CD").hexdigest()),
        (Dialect.APPSFLYER, "(install-ts) (af_sub1) {gaid}", "2026-03-01 12:00:00 s1 {gaid}"),
        (Dialect.APPSFLYER, "f() (a b) (9)", "f() (a b) (9)"),
        (Dialect.BRANCH, "${(last_attributed_touch_data.~click_id)!}", "Click-1"),
        (Dialect.BRANCH, "${timestamp}/${(user_data.aaid)!}", f"{NOON}/AB-CD"),
        (Dialect.BRANCH, "${(last_attributed_touch_data.promo)!}", "x"),
        (
            Dialect.HANDLEBARS,
            "{{partner_click_id}} {x} {{ revenue | round:1 }}",
            "Click-1 {x} 12.3",
        ),
    ],
)
def test_each_dialect_is_read_as_its_senders_write_it(dialect, text, said) -> None:
    assert filled(text, dialect) == said


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("gaid|lower", "ab-cd"),
        ("event|upper", "BUY"),
        ("gaid|bare", "ABCD"),
        ("campaign|url", "spring%20sale"),
        ("campaign|base64", "c3ByaW5nIHNhbGU="),
        ("campaign|base64url", "c3ByaW5nIHNhbGU"),
        ("gaid|md5", md5(b"AB-CD").hexdigest()),
        ("gaid|lower|sha1", sha1(b"ab-cd").hexdigest()),
        ("gaid|sha256", sha256(b"AB-CD").hexdigest()),
        ("revenue|round:2", "12.34"),
        ("revenue|round:0", "12"),
        ("revenue_minor|times:0.01", "12.34"),
        ("revenue|times:100|round:0", "1234"),
        ("at", "1772366400"),
        ("at|unix", "1772366400"),
        ("at|unix_ms", str(NOON)),
        ("at|iso", "2026-03-01T12:00:00Z"),
        ("at|hour|unix_ms", "1772366400000"),
        ("at|format:%d.%m.%Y %H:%M:%S", "01.03.2026 12:00:00"),
        ("at|iso|md5", md5(b"2026-03-01T12:00:00Z").hexdigest()),
    ],
)
def test_each_function_does_what_it_says(expression: str, said: str) -> None:
    assert filled(f"{{{expression}}}") == said


def test_no_function_is_untried() -> None:
    tried = test_each_function_does_what_it_says.pytestmark[0].args[1]
    assert {name.partition(":")[0] for e, _ in tried for name in e.split("|")[1:]} == set(FUNCTIONS)


def test_a_moment_is_cut_to_its_hour_not_rounded() -> None:
    late = int(datetime(2026, 3, 1, 12, 59, 59, 999000, tzinfo=UTC).timestamp() * 1000)
    template = read("{at|hour|iso}", Dialect.ATTRIBUNE)
    assert template.fill({"at": late}).text == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("dialect", "text", "why"),
    [
        (Dialect.ATTRIBUNE, "{clik_id}", "partner_click_id"),
        (Dialect.ATTRIBUNE, "{partner_click_id", "begins or ends no macro"),
        (Dialect.ATTRIBUNE, "a}", "begins or ends no macro"),
        (Dialect.ATTRIBUNE, "{}", "no macro ''"),
        (Dialect.ATTRIBUNE, "{gaid||}", "no macro ''"),
        (Dialect.ATTRIBUNE, "{gaid|rot13}", "no function 'rot13'"),
        (Dialect.ATTRIBUNE, "{gaid|iso}", "iso takes moment"),
        (Dialect.ATTRIBUNE, "{at|iso|hour}", "hour takes moment"),
        (Dialect.ATTRIBUNE, "{revenue|round}", "takes an argument"),
        (Dialect.ATTRIBUNE, "{gaid|md5:1}", "takes no argument"),
        (Dialect.ATTRIBUNE, "{revenue|round:13}", "no argument of round"),
        (Dialect.ATTRIBUNE, "{revenue|times:1e9}", "no argument of times"),
        (Dialect.ATTRIBUNE, "{at|format:%Z}", "no argument of format"),
        (Dialect.ATTRIBUNE, "{extra.}", "no macro"),
        (Dialect.ATTRIBUNE, "{extra.a b}", "no macro"),
        (Dialect.ADJUST, "{isp}", "no macro 'isp'"),
        (Dialect.APPSFLYER, "$$sdk(clickid", "begins or ends no macro"),
        (Dialect.BRANCH, "${(user_data.os)!", "begins or ends no macro"),
        (Dialect.BRANCH, "<#if attributed>1<#else>0</#if>", "begins or ends no macro"),
        (Dialect.BRANCH, "${(user_data.unheard_of)!}", "no macro"),
        (Dialect.HANDLEBARS, "{{gaid}", "begins or ends no macro"),
        (Dialect.ATTRIBUNE, "x" * (CHARACTERS_MAX + 1), "characters"),
        (Dialect.ATTRIBUNE, "{at} " * (MACROS_MAX + 1), "macros"),
    ],
)
def test_what_is_wrong_is_found_when_it_is_read(dialect, text, why) -> None:
    with pytest.raises(Invalid, match=re.escape(why)) as wrong:
        read(text, dialect, "query.cid")
    assert wrong.value.param == "query.cid"


def test_what_has_no_value_is_named_and_its_name_never_goes_out() -> None:
    got = read("a={idfa||country}&b={gaid}&c={user_id}", Dialect.ATTRIBUNE).fill(VALUES)
    assert got.text == "a=&b=AB-CD&c="
    assert got.absent == ("{idfa||country}", "{user_id}")


@given(st.sampled_from(sorted(MACROS)), st.text(max_size=50))
def test_a_value_that_looks_like_a_macro_is_a_value(name: str, text: str) -> None:
    value = "{gaid}(clickid)${(x)!}{{gaid}}" + text
    if MACROS[name].shape is not Shape.TEXT:
        return
    for dialect, written in (
        (Dialect.ATTRIBUNE, f"{{{name}}}"),
        (Dialect.HANDLEBARS, f"{{{{{name}}}}}"),
    ):
        assert read(written, dialect).fill({"gaid": "no", name: value}).text == value


def test_every_name_of_every_dialect_is_one_of_ours() -> None:
    for dialect, speech in SPEECH.items():
        for name in speech.names:
            shown = {
                Dialect.ADJUST: f"{{{name}}}",
                Dialect.APPSFLYER: f"({name})",
                Dialect.BRANCH: f"${{({name})!}}",
            }[dialect]
            assert read(shown, dialect).macros <= set(MACROS)


def test_who_does_not_share_is_told_of_up_to_a_limit() -> None:
    values = dict.fromkeys(MACROS, "v") | {
        "extra.sub1": "v",
        "param.mail": "v",
        "setting.x": "v",
    }
    campaign = allowed(values, Reach.CAMPAIGN)
    click = allowed(values, Reach.CLICK)
    assert campaign.keys() < click.keys() < values.keys()
    assert allowed(values, Reach.PERSON) == values
    assert {"gaid", "ip", "user_id", "device_id", "user_agent", "param.mail"}.isdisjoint(click)
    assert {"partner_click_id", "touch_id", "extra.sub1", "transaction_id"}.isdisjoint(campaign)
    assert {"campaign", "delivery_id", "setting.x"} <= campaign.keys()


def test_reach_is_an_order() -> None:
    for narrow, wide in ((Reach.CAMPAIGN, Reach.CLICK), (Reach.CLICK, Reach.PERSON)):
        assert reaches(narrow, wide)
        assert not reaches(wide, narrow)
    assert macro("extra.x").name == "extra.x"
    assert set(FAMILIES) == {"extra", "param", "setting"}
