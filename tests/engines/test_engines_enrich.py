"""What user agents and addresses say."""

from __future__ import annotations

import pytest

from attribune.engines.enrich import CHARACTERS_MAX, UaEnricher
from attribune.ports import UserAgent

SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{} Mobile Safari/537.36"


@pytest.fixture(scope="module")
def enricher() -> UaEnricher:
    return UaEnricher()


def iphone(system: str, rest: str) -> str:
    return f"Mozilla/5.0 (iPhone; CPU iPhone OS {system} like Mac OS X) {SAFARI} {rest}"


CASES = {
    "Chrome says Android 10; K of every device": (
        f"Mozilla/5.0 (Linux; Android 10; K) {CHROME.format('131.0.0.0')}",
        UserAgent("android", None, None),
    ),
    "and so does its web view": (
        f"Mozilla/5.0 (Linux; Android 10; K; wv) Version/4.0 {CHROME.format('131.0.0.0')}",
        UserAgent("android", None, None),
    ),
    "an older Chrome names version and model": (
        f"Mozilla/5.0 (Linux; Android 13; SM-S918B) {CHROME.format('109.0.5414.117')}",
        UserAgent("android", "13", "SM-S918B"),
    ),
    "a real Android 10 names its model": (
        f"Mozilla/5.0 (Linux; Android 10; SM-G960F) {CHROME.format('80.0.3987.99')}",
        UserAgent("android", "10", "SM-G960F"),
    ),
    "an app's own requests name both": (
        "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A.240105.004)",
        UserAgent("android", "14", "Pixel 8"),
    ),
    "Firefox names no model": (
        "Mozilla/5.0 (Android 14; Mobile; rv:120.0) Gecko/120.0 Firefox/120.0",
        UserAgent("android", "14", None),
    ),
    "Apple never names the model": (
        iphone("17_4_1", "Version/17.4.1 Mobile/15E148 Safari/604.1"),
        UserAgent("ios", "17.4.1", None),
    ),
    "the system's part stands still from iOS 26": (
        iphone("18_6", "Version/26.0 Mobile/15E148 Safari/604.1"),
        UserAgent("ios", "26.0", None),
    ),
    "also at a later 18": (
        iphone("18_7", "Version/26.2.1 Mobile/15E148 Safari/604.1"),
        UserAgent("ios", "26.2.1", None),
    ),
    "a real iOS 18.6 has its own version": (
        iphone("18_6", "Version/18.6 Mobile/15E148 Safari/604.1"),
        UserAgent("ios", "18.6", None),
    ),
    "an in-app browser does not say which": (
        iphone("18_6", "Mobile/15E148"),
        UserAgent("ios", None, None),
    ),
    "nor does another browser": (
        iphone("18_6", "CriOS/140.0.7339.39 Mobile/15E148 Safari/604.1"),
        UserAgent("ios", None, None),
    ),
    "an in-app browser of iOS 17 does": (
        iphone("17_5", "Mobile/15E148"),
        UserAgent("ios", "17.5", None),
    ),
    "a Mac": (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {SAFARI} Version/17.4 Safari/605.1.15",
        UserAgent("macos", "10.15.7", None),
    ),
    "Windows": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0.0.0",
        UserAgent("windows", "10", None),
    ),
    "a program": ("curl/8.5.0", UserAgent(None, None, None)),
    "nothing": ("", UserAgent(None, None, None)),
}


@pytest.mark.parametrize(("text", "said"), CASES.values(), ids=CASES.keys())
def test_user_agents(enricher, text, said):
    assert enricher.user_agent(text) == said
    assert enricher.user_agent(text) == said, "remembered"


def test_what_lies_behind_the_limit_is_not_read(enricher):
    text = "x" * CHARACTERS_MAX + " (Linux; Android 14; Pixel 8 Build/UQ1A)"
    assert enricher.user_agent(text).os is None
    assert enricher.user_agent(text[100:]).os == "android"


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("8.8.8.8", "US"),
        ("2001:4860:4860::8888", "US"),
        ("194.25.0.125", "DE"),
        ("10.0.0.1", None),
        ("192.0.2.1", None),
        ("nonsense", None),
        ("8.8.8.8/24", None),
        ("", None),
    ],
)
def test_countries(enricher, address, country):
    assert enricher.country(address) == country


def test_the_data_are_named(enricher):
    names = [word.split() for word in enricher.version().split(", ")]
    assert [name for name, _ in names] == ["uap", "iptocc"]
    assert all(version[0].isdigit() for _, version in names)
