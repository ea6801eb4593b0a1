"""From data and values to the request: what stands where, and that no value can leave its place."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attribune.model.delivery import Trigger
from attribune.model.errors import Invalid
from attribune.postback.partner import read_partner
from attribune.postback.render import URL_CHARACTERS_MAX, Prepared, Request, Skipped

ANY = st.text(min_size=1, max_size=60)

DATA = """
title = "Test"
source = "a test"

[settings.domain]
help = "a host"
shape = "host"

[settings.token]
help = "a token"
shape = "secret"
required = false

[[requests]]
triggers = ["install"]
method = "POST"
url = "https://{setting.domain}/pb/{campaign}"
basic = { user = "{partner}", password = "{setting.token}" }
query = { cid = "{partner_click_id}" }
headers = { x-click = "{partner_click_id}" }
form = { "a b" = "{event}", full = "{campaign}-{event}" }

[[requests]]
triggers = ["event"]
method = "POST"
url = "https://{setting.domain}/json"
json = { click = "{partner_click_id}", empty = { value = "<{event}>", absent = "empty" } }
"""


def made(text: str = DATA, **settings: str) -> Prepared:
    return Prepared(read_partner(text), {"domain": "p.example", **settings})


def sent(values: dict[str, Any], trigger: Trigger = Trigger.INSTALL) -> Request:
    found = made(token="t").request(trigger, values)
    assert isinstance(found, Request), found
    return found


def climbs(value: str) -> bool:
    return any(piece in {".", ".."} for piece in re.split(r"[/\\\\]", value))


@given(ANY, ANY, ANY)
def test_values_come_out_as_they_went_in_and_nowhere_else(campaign, click, event) -> None:
    assume(not climbs(campaign))
    found = sent({"campaign": campaign, "partner_click_id": click, "event": event, "partner": "u"})
    address = urlsplit(found.url)
    assert (address.scheme, address.netloc, address.fragment) == ("https", "p.example", "")
    first, base, piece = address.path.split("/")
    assert (first, base) == ("", "pb")
    assert unquote(piece) == campaign
    assert piece not in {".", ".."}
    assert parse_qsl(address.query, keep_blank_values=True) == [("cid", click)]
    body = parse_qsl(found.body.decode(), keep_blank_values=True)
    assert body == [("a b", event), ("full", f"{campaign}-{event}")]
    assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in found.headers["x-click"])


@given(ANY)
def test_json_holds_any_value(click: str) -> None:
    found = sent({"partner_click_id": click}, Trigger.EVENT)
    assert msgspec.json.decode(found.body) == {"click": click, "empty": "<>"}


def test_a_value_cannot_climb_out_of_its_piece_of_the_path() -> None:
    """Not for a server either that decodes a path before it takes it apart, as nginx does."""
    for campaign in (".", "..", "../admin", "a/..", "a/../b", "..\\x", "a\\.", "./"):
        assert climbs(campaign)
        found = made(token="t").request(Trigger.INSTALL, {"campaign": campaign})
        assert found == Skipped("a value would make the path lead elsewhere, by . or .. in it")
    for campaign in ("a/b", "...", "a..", ".a", "..a/b", "1.2", "%2e%2e"):
        path = urlsplit(sent({"campaign": campaign}).url).path
        assert path == f"/pb/{quote(campaign, safe='')}"


def test_a_line_break_cannot_begin_another_header() -> None:
    found = sent({"campaign": "c", "partner_click_id": "a\r\nX-Evil: 1"})
    assert found.headers["x-click"] == "a  X-Evil: 1"


def test_a_parameter_whose_macro_has_no_value_is_left_out() -> None:
    found = sent({"campaign": "c"})
    assert found.url == "https://p.example/pb/c"
    assert "x-click" not in found.headers
    assert found.body == b""


def test_an_address_that_is_too_long_is_not_sent() -> None:
    found = made().request(Trigger.INSTALL, {"campaign": "c" * URL_CHARACTERS_MAX})
    assert isinstance(found, Skipped)
    assert "characters" in found.reason


def test_a_trigger_that_is_not_in_the_data_is_not_told() -> None:
    assert made().request(Trigger.REVERSAL, {}) == Skipped("the partner is not told of reversal")


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"domain": "p.example/x"}, "domain"),
        ({"domain": "user@p.example"}, "domain"),
        ({"domain": "p.example?x"}, "domain"),
        ({"domain": ""}, "domain"),
        ({"domain": "p.example", "token": "a\nb"}, "token"),
        ({"domain": "p.example", "tokn": "a"}, "tokn"),
    ],
)
def test_a_wrong_setting_is_named(settings, param) -> None:
    with pytest.raises(Invalid) as wrong:
        Prepared(read_partner(DATA), settings)
    assert wrong.value.param == param


@pytest.mark.parametrize(
    "url",
    [
        "ftp://p.example/",
        "p.example/pb",
        "https://{campaign}.example/",
        "https://p.example@{setting.domain}/",
        "https:///pb",
        "https://p.example/#x",
        "https://{partner_click_id}/",
        "{partner_click_id}",
    ],
)
def test_no_value_stands_in_the_host(url: str) -> None:
    with pytest.raises(Invalid) as wrong:
        made(DATA.replace("https://{setting.domain}/json", url))
    assert wrong.value.param == "url"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('title = "Test"', "", "title"),
        ('source = "a test"', 'source = "a test"\nsorce = 1', "sorce"),
        ('triggers = ["event"]', 'triggers = ["install"]', "stands in two requests"),
        ('triggers = ["event"]', "triggers = []", "needs one at least"),
        ('triggers = ["event"]', 'triggers = ["sale"]', "sale"),
        (
            'method = "POST"\nurl = "https://{setting.domain}/json"',
            'method = "BREW"\nurl = "x"',
            "BREW",
        ),
        ('method = "POST"\nurl = "https://{setting.domain}/json"', 'url = "x"', "GET has no body"),
        ("[settings.domain]", "[settings.Domain]", "no name"),
        ("json = {", 'form = { a = "b" }\njson = {', "not both"),
        ("json = {", 'one_of = [["nothing"]]\njson = {', "no parameter"),
        ('help = "a token"', "", "help"),
        ("x-click =", '"x click" =', "no header's name"),
        ("x-click =", '"x\\nclick" =', "no header's name"),
        ("x-click =", "Host =", "not set here"),
        ("x-click =", "Authorization =", "not set here"),
        ("x-click =", "content-length =", "not set here"),
    ],
)
def test_data_that_is_wrong_is_named_by_its_field(before: str, after: str, words: str) -> None:
    assert before in DATA
    with pytest.raises(Invalid, match=words):
        read_partner(DATA.replace(before, after, 1))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('pattern = "["\nsays = "x"', r"settings\.app\.pattern: .* is no pattern"),
        ('pattern = "[0-9]"', r"settings\.app: pattern and says go together"),
        ('says = "a number"', r"settings\.app: pattern and says go together"),
        ('one_of = ["a"]\nshape = "secret"', r"settings\.app: a secret has no one_of"),
        ('one_of = ["a"]\ndefault = "b"', r"settings\.app\.default: it is one of a, not 'b'"),
    ],
)
def test_what_a_setting_may_be_is_checked_itself(setting: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read_partner(f'{DATA}\n[settings.app]\nhelp = "an app"\n{setting}\n')


def test_a_setting_that_is_left_out_need_not_be_one_of_what_it_may_be() -> None:
    more = '\n[settings.app]\nhelp = "an app"\nrequired = false\none_of = ["a", "b"]\n'
    made(DATA + more)
    made(DATA + more, app="b")
    with pytest.raises(Invalid, match="app is one of a, b, not 'c'"):
        made(DATA + more, app="c")


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(Invalid, match=r"success\.body"):
        read_partner(DATA + '\n[success]\nbody = "("\n')
    with pytest.raises(Invalid, match=r"success\.final: '\(' is no pattern"):
        read_partner(DATA + '\n[success]\nfinal = "("\n')


def test_a_status_is_either_taken_or_final() -> None:
    with pytest.raises(Invalid, match=r"success\.final_status: 400 stands in success\.status too"):
        read_partner(DATA + "\n[success]\nstatus = [200, 400]\n")
    data = read_partner(DATA + "\n[success]\nstatus = [200, 400]\nfinal_status = [404]\n")
    assert data.success.final_status == [404]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("query = { cid", 'query = { "{campaign}"'),
        ('form = { "a b"', 'form = { "a{"'),
        ("json = { click", 'json = { "{event}x"'),
        ("/json", "/json?{campaign}=1"),
    ],
)
def test_no_macro_stands_in_a_name(before: str, after: str) -> None:
    assert before in DATA
    with pytest.raises(Invalid):
        made(DATA.replace(before, after, 1))


def test_a_name_in_a_query_is_encoded_as_values_are() -> None:
    odd = made(DATA.replace("query = { cid", 'query = { "a b&c[]"'))
    found = odd.request(Trigger.INSTALL, {"campaign": "c", "partner_click_id": "1"})
    assert isinstance(found, Request)
    assert parse_qsl(urlsplit(found.url).query) == [("a b&c[]", "1")]


def test_a_setting_that_is_not_in_the_data_cannot_be_used() -> None:
    with pytest.raises(Invalid, match="no setting nothing"):
        made(DATA.replace('click = "{partner_click_id}"', 'click = "{setting.nothing}"'))
