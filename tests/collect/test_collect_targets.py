"""Where links lead: never to a place that the link's owner did not store or allow."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from front import ANDROID, DESKTOP, IPHONE, PLAY

from attribune.collect.platform import HINTS, PREVIEW_AGENTS, is_prefetch, is_preview, platform_of
from attribune.collect.targets import asked_target, is_allowed, own_referrer, way, ways
from attribune.model.activity import Platform
from attribune.model.control import Link
from attribune.model.ids import LinkId, PartnerId, ProductId

LINK = Link(
    id=LinkId("l"), product=ProductId("p"), partner=PartnerId("acme"), campaign="spring & fall"
)
HOSTS = frozenset({"shop.example", "dev.example:8443"})


def location(url: str, referrer: str = "") -> str:
    made = way(url, LINK, "Acme Ads", referrer)
    return f"{made.before}TOUCH{made.after}"


def referrer_of(url: str) -> dict[str, list[str]]:
    return parse_qs(parse_qs(urlsplit(url).query)["referrer"][0])


def test_play_gets_the_touch_in_its_referrer():
    url = location(PLAY)
    assert "referrer=attribune_click%3DTOUCH%26utm_source%3D" in url
    assert referrer_of(url) == {
        "attribune_click": ["TOUCH"],
        "utm_source": ["Acme Ads"],
        "utm_campaign": ["spring & fall"],
    }
    assert parse_qs(urlsplit(url).query)["id"] == ["com.example.game"]


def test_the_partners_own_referrer_words_are_kept_inside():
    url = location(f"{PLAY}&referrer=stored%3D1&hl=de#x", "gclid=G1&utm_source=own")
    assert referrer_of(url) == {
        "attribune_click": ["TOUCH"],
        "utm_campaign": ["spring & fall"],
        "stored": ["1"],
        "gclid": ["G1"],
        "utm_source": ["own"],
    }
    assert parse_qs(urlsplit(url).query)["hl"] == ["de"]
    assert urlsplit(url).fragment == "x"
    assert url.count("referrer=") == 1


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("https://a.example/x", "https://a.example/x?attribune_click=TOUCH"),
        ("https://a.example/x?b=1#f", "https://a.example/x?b=1&attribune_click=TOUCH#f"),
        ("https://a.example", "https://a.example?attribune_click=TOUCH"),
        ("https://apps.apple.com/app/id1", "https://apps.apple.com/app/id1?attribune_click=TOUCH"),
        ("https://play.google.com/books?id=1", "https://play.google.com/books?id=1&attribune_click=TOUCH"),
        ("https://a.example/\r\nSet-Cookie: x", "https://a.example/%0D%0ASet-Cookie:%20x?attribune_click=TOUCH"),
        ("https://a.example/é\\", "https://a.example/%C3%A9%5C?attribune_click=TOUCH"),
    ],
)  # fmt: skip
def test_elsewhere_the_touch_goes_into_the_query(target, wanted):
    assert location(target) == wanted


def test_market_links_are_play_links():
    assert location("market://details?id=x").startswith("market://details?id=x&referrer=")


def test_every_platform_has_a_way_when_there_is_a_fallback():
    made = ways({"android": PLAY, "other": "https://o.example/"}, LINK, "a")
    assert made[Platform.ANDROID].plain == PLAY
    assert {made[p].plain for p in Platform if p is not Platform.ANDROID} == {"https://o.example/"}
    assert ways({}, LINK, "a") == {}
    assert (
        ways({"ios": "https://i.example/"}, LINK, "a")[Platform.WEB].plain == "https://i.example/"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "https://shop.example/",
        "https://SHOP.example/x?y=1#z",
        "https://shop.example:443/x",
        "https://dev.example:8443/",
        "https://shop.example?x",
        "https://shop.example/a@b",
    ],
)
def test_allowed_hosts_are_followed(url):
    assert is_allowed(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "", "/", "//evil.example", "///evil.example", "\\\\evil.example", "https:evil.example", "https:/shop.example",
        "http://shop.example/", "HTTP://shop.example", "javascript:alert(1)", "data:text/html,x", "shop.example",
        "https://evil.example", "https://shop.example.evil.example/", "https://evil.example/shop.example",
        "https://evilshop.example/", "https://shop.example@evil.example/", "https://user:pw@shop.example/",
        "https://shop.example:pw@evil.example", "https://evil.example#@shop.example", "https://evil.example?@shop.example",
        "https://evil.example\\@shop.example/", "https://shop.example\\.evil.example", "https://shop.example\\evil",
        "https://shop.example:8443/", "https://dev.example/", "https://shop.example:/", "https://shop.example.",
        "https://shop.example\r\nSet-Cookie: a=b", "https://shop.example/\r\nX: y", "https://shop.example/ x",
        "https://shop.example/\t", " https://shop.example/", "https://shop.example/\x00", "https://\N{CYRILLIC SMALL LETTER DZE}hop.example/",
        "https://shop\N{IDEOGRAPHIC FULL STOP}example/", "https://shop%2eexample/", "https://shop.example/<script>", "https://[::1]/",
        "https://127.0.0.1/", "intent://shop.example#Intent;end", "https://xn--hop-ovd.example/",
    ],
)  # fmt: skip
def test_nothing_else_is_ever_followed(url):
    assert not is_allowed(url, HOSTS)


@pytest.mark.parametrize(
    ("query", "platform", "wanted"),
    [
        ("redirect=https%3A%2F%2Fshop.example%2Fx", Platform.WEB, "https://shop.example/x"),
        ("af_r=https://shop.example/x", Platform.IOS, "https://shop.example/x"),
        ("redirect=https://shop.example/1&redirect_ios=https://shop.example/2", Platform.IOS, "https://shop.example/2"),
        ("redirect=https://shop.example/1&redirect_ios=https://shop.example/2", Platform.ANDROID, "https://shop.example/1"),
        ("redirect=https://evil.example/&af_r=https://shop.example/2", Platform.WEB, "https://shop.example/2"),
        ("redirect=https://shop.example/1&redirect=https://shop.example/2", Platform.WEB, "https://shop.example/1"),
        ("redirect=https://evil.example/", Platform.WEB, None),
        ("redirect=false", Platform.WEB, None),
    ],
)  # fmt: skip
def test_a_query_may_ask_for_an_allowed_target(query, platform, wanted):
    assert asked_target(query, platform, HOSTS) == wanted


def test_own_referrer():
    assert own_referrer("a=1&referrer=x%3D1%26y%3D2") == "x=1&y=2"
    assert own_referrer("referrer=%7Breferrer%7D") == ""


@pytest.mark.parametrize(
    ("agent", "platform"),
    [
        (ANDROID, Platform.ANDROID),
        (IPHONE, Platform.IOS),
        ("Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X)", Platform.IOS),
        (DESKTOP, Platform.WEB),
        ("curl/8", Platform.WEB),
        ("", Platform.OTHER),
        (None, Platform.OTHER),
    ],
)
def test_platforms(agent, platform):
    assert platform_of(agent) is platform


@pytest.mark.parametrize("agent", PREVIEW_AGENTS)
def test_every_preview_agent_is_known_by_a_hint(agent):
    assert any(hint in agent.lower() for hint in HINTS)
    assert is_preview(f"Mozilla/5.0 (compatible; {agent}1.0; +http://x)")
    assert is_preview(agent.upper())


def test_apples_messages_preview_is_one_though_it_says_safari():
    agent = "Mozilla/5.0 (Macintosh) AppleWebKit/601 Version/9 Safari/601 facebookexternalhit/1.1 Facebot Twitterbot/1.0"
    assert is_preview(agent)


@pytest.mark.parametrize(
    "agent",
    [
        ANDROID,
        IPHONE,
        DESKTOP,
        None,
        "",
        ANDROID + " [FB_IAB/FB4A;FBAV/450.0;]",
        IPHONE + " Instagram 300.0",
        ANDROID + " MetaIAB Facebook",
        "Mozilla/5.0 (Linux; Android 14; Cubot X70) Chrome/140 Mobile",
    ],
)
def test_people_are_no_previews(agent):
    assert not is_preview(agent)


@pytest.mark.parametrize(
    ("sec_purpose", "purpose", "x_purpose"),
    [("prefetch;prerender", None, None), (None, "prefetch", None), (None, None, "preview"), ("prefetch", None, None)],
)  # fmt: skip
def test_pages_loaded_ahead(sec_purpose, purpose, x_purpose):
    assert is_prefetch(sec_purpose, purpose, x_purpose)
    assert not is_prefetch(None, None, None)
