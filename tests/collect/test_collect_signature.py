"""Signed links: what a signature proves, what it does not, and that it never costs a person their way."""

from __future__ import annotations

import hmac
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from front import GAME, ORIGIN, Front, front

from attribune.collect.links import read_touch
from attribune.collect.signature import Checked, check_query, secrets_of
from attribune.model.control import FormerSecret, Link, Partner, PartnerKind
from attribune.model.ids import LinkId, PartnerId
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import LinkHit, SignatureFault, TouchKind, TouchOrigin

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "wire.md").read_text()

# Made with `openssl dgst -sha256 -hmac`, as the wire page shows.
SECRET = "cs_0123456789abcdefghjkmnpqrstvwxyz"
PATH = "/c/spring-7dk2m9xq"
SAID = "click_id=c-1&click_lookback=1h&expires=1798761600"
HEX = "b564934e0186902de8204e81131f2b354107d5babaac090a4b249659eba92e43"
#: What ``expires`` above says: 2027 begins.
EXPIRES_MS = 1_798_761_600_000
DAY_MS = 86_400_000


def partner(name: str = "acme", secret: str | None = SECRET, *former: FormerSecret) -> Partner:
    return Partner(
        id=PartnerId(name),
        name=name,
        kind=PartnerKind.NETWORK,
        signing_secret=secret,
        former_secrets=former,
    )


def sign(path: str, query: str, secret: str = SECRET) -> str:
    """A whole query, signed by somebody else's words than those under test."""
    made = hmac.new(secret.encode(), f"{path}?{query}".encode(), "sha256").hexdigest()
    return f"{query}&signature={made}"


def check(
    query: str = f"{SAID}&signature={HEX}",
    path: str = PATH,
    by: Partner | None = None,
    now_ms: int = EXPIRES_MS - 1,
    ahead_max_ms: int = DAY_MS,
) -> Checked:
    return check_query(path, query, secrets_of(by or partner()), now_ms, ahead_max_ms)


def test_the_vector_holds() -> None:
    assert check() == Checked(SAID, signed=True, fault=None)


def test_the_example_of_the_wire_page_is_the_vector_and_runs() -> None:
    block = next(b for b in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "openssl" in b)
    assert f"SECRET={SECRET}\n" in block
    assert f"SIGNED='{PATH}?{SAID}'\n" in block
    done = subprocess.run(["sh", "-euc", block], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"https://go.example.com{PATH}?{SAID}&signature={HEX}"


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        (f"{SAID}&x=1&signature={HEX}", SignatureFault.MISMATCH),
        (f"{SAID.replace('1h', '9h')}&signature={HEX}", SignatureFault.MISMATCH),
        (f"{SAID.replace('c-1', 'c%2D1')}&signature={HEX}", SignatureFault.MISMATCH),
        (f"{SAID}&&signature={HEX}", SignatureFault.MISMATCH),
        (f"{SAID}&signature={HEX[:-1]}4", SignatureFault.MISMATCH),
        (f"{SAID}&signature={HEX.upper()}", SignatureFault.MALFORMED),
        (f"{SAID}&signature={HEX[:-1]}", SignatureFault.MALFORMED),
        (f"{SAID}&signature={HEX}%0a", SignatureFault.MALFORMED),
        (f"{SAID}&signature=", SignatureFault.MALFORMED),
        (f"{SAID}&signature={HEX}&x=1", SignatureFault.MALFORMED),
        (f"{SAID}&signature={HEX}&", SignatureFault.MALFORMED),
        (f"{SAID}&signature={HEX}&signature={HEX}", SignatureFault.MALFORMED),
        (f"signature={HEX}&{SAID}&signature={HEX}", SignatureFault.MALFORMED),
    ],
)
def test_whoever_changes_a_signed_query_lets_it_steer_nothing(
    query: str, fault: SignatureFault
) -> None:
    checked = check(query)
    assert (checked.signed, checked.fault) == (False, fault)
    assert HEX not in checked.query.lower()


@pytest.mark.parametrize("path", ["/i/spring-7dk2m9xq", "/c/spring-other", "/c/spring-7dk2m9x"])
def test_a_signature_is_of_one_link_and_one_kind(path: str) -> None:
    assert check(path=path).fault is SignatureFault.MISMATCH


@pytest.mark.parametrize(
    "secret", ["cs_another0another0another0another0x", SECRET[:-1], SECRET + " "]
)
def test_only_the_partners_own_secret_signs(secret: str) -> None:
    assert check(by=partner("zeta", secret)).fault is SignatureFault.MISMATCH


def test_nobody_signs_for_a_partner_without_a_secret() -> None:
    by_nothing = sign(PATH, SAID, "")
    assert check(by_nothing, by=partner(secret=None)).fault is SignatureFault.NOT_SIGNING
    assert check_query(PATH, by_nothing, secrets_of(None), 0, DAY_MS).signed is False


@pytest.mark.parametrize("query", ["", "a=1", "my_signature=1&b=2", "a=signature=1"])
def test_a_query_without_a_signature_is_left_as_it_is(query: str) -> None:
    assert check(query) == Checked(query)


def test_a_signed_query_holds_until_it_expires_and_not_at_that_time() -> None:
    assert check(now_ms=EXPIRES_MS - 1).signed
    assert check(now_ms=EXPIRES_MS).fault is SignatureFault.EXPIRED


def test_expires_may_lie_so_far_ahead_and_no_further() -> None:
    assert check(now_ms=EXPIRES_MS - DAY_MS).signed
    assert check(now_ms=EXPIRES_MS - DAY_MS - 1).fault is SignatureFault.TOO_FAR_AHEAD


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (f"expires={EXPIRES_MS}", None),
        (f"expires={EXPIRES_MS // 1000}", None),
        ("expires=946684799", SignatureFault.EXPIRED),
        ("expires=9999999999999999", SignatureFault.TOO_FAR_AHEAD),
        ("expires=99999999999999999", SignatureFault.NO_EXPIRY),
        ("a=1", SignatureFault.NO_EXPIRY),
        ("expires=", SignatureFault.NO_EXPIRY),
        ("expires=-1", SignatureFault.NO_EXPIRY),
        ("expires=1798761600.5", SignatureFault.NO_EXPIRY),
        ("expires=\u0661\u0667\u0669\u0668\u0667\u0666\u0661\u0666\u0660\u0660", SignatureFault.NO_EXPIRY),
        ("expires=1798761600&expires=1798761600", SignatureFault.NO_EXPIRY),
    ],
)  # fmt: skip
def test_expires_is_a_time_said_once(said: str, fault: SignatureFault | None) -> None:
    assert check(sign(PATH, said)).fault is fault


def test_a_former_secret_holds_for_its_overlap() -> None:
    rotated = partner(
        "acme", "cs_new", FormerSecret(signing_secret=SECRET, ends_at_ms=EXPIRES_MS - 10)
    )
    assert check(by=rotated, now_ms=EXPIRES_MS - 11).signed
    assert check(by=rotated, now_ms=EXPIRES_MS - 10).fault is SignatureFault.MISMATCH
    assert check(sign(PATH, SAID, "cs_new"), by=rotated).signed


# --- at the door

LINK = Link(
    id=LinkId("signed"), product=GAME, partner=PartnerId("acme"), allowed_hosts=("shop.example",)
)
MUTE = Link(id=LinkId("mute"), product=GAME, partner=PartnerId("mute"))
STEERING = "ip=203.0.113.9&ua=Theirs&click_lookback=1h&cost=0.25&cost_currency=EUR"


@pytest.fixture(scope="module")
def signing() -> Iterator[Front]:
    with front(partner(), partner("mute", None), LINK, MUTE) as running:
        yield running


def in_time() -> str:
    return f"expires={int(time.time()) + 3600}"


def counted(door: Front) -> dict[str, int]:
    counters = door.role.state()["counters"]
    return {name: counters[f"signatures_{name}"] for name in ("good", "bad", "expired")}


def click(door: Front, query: str, kind: str = "c", link: Link = LINK, **headers: str) -> Any:
    """The hit that a followed link left, and where the person was sent."""
    before = door.end()
    answer = door.get(f"/{kind}/{link.id}?{query}", **headers)
    assert answer.status == (302 if kind == "c" else 200)
    [hit] = door.since(Topic.TOUCHES, before)
    location = answer.headers.get("location", "")
    assert kind == "i" or hit.id in location
    return hit, location


@pytest.mark.parametrize("kind", ["c", "i"])
def test_a_good_signature_lets_a_persons_query_steer(signing: Front, kind: str) -> None:
    before = counted(signing)
    said = f"click_id=1&{STEERING}&{in_time()}"
    hit, _ = click(signing, sign(f"/{kind}/signed", said), kind)
    assert (hit.signed, hit.trusted, hit.signature_fault, hit.query) == (True, False, None, said)
    touch = read_touch(hit, LINK)
    assert (touch.ip, touch.user_agent, touch.click_lookback_ms) == (
        "203.0.113.9",
        "Theirs",
        3_600_000,
    )
    assert touch.cost is not None
    assert touch.origin is TouchOrigin.REDIRECT
    assert set(touch.extra) == {"expires"}
    assert counted(signing) == {**before, "good": before["good"] + 1}


def test_what_a_signed_query_does_not_say_is_the_persons_own(signing: Front) -> None:
    hit, _ = click(signing, sign("/c/signed", f"click_lookback=1h&{in_time()}"), agent="Mine")
    touch = read_touch(hit, LINK)
    assert (touch.ip, touch.user_agent) == ("127.0.0.1", "Mine")


@pytest.mark.parametrize(
    ("query", "fault", "count"),
    [
        (lambda: sign("/c/signed", f"{STEERING}&{in_time()}", "cs_zeta"), SignatureFault.MISMATCH, "bad"),
        (lambda: sign("/c/signed", f"{STEERING}&expires={int(time.time()) - 1}"), SignatureFault.EXPIRED, "expired"),
        (lambda: sign("/c/signed", f"{STEERING}&expires={int(time.time()) + 8 * 86_400}"), SignatureFault.TOO_FAR_AHEAD, "bad"),
        (lambda: sign("/c/signed", f"{STEERING}&{in_time()}") + "&x=1", SignatureFault.MALFORMED, "bad"),
    ],
    ids=["another partner", "expired", "too far ahead", "not last"],
)  # fmt: skip
def test_a_signature_that_does_not_count_costs_the_steering_only(
    signing: Front, query: Any, fault: SignatureFault, count: str
) -> None:
    before = counted(signing)
    hit, _ = click(signing, query())
    assert hit.signed is False
    assert "signature" not in hit.query
    touch = read_touch(hit, LINK)
    assert (touch.ip, touch.click_lookback_ms, touch.cost) == ("127.0.0.1", None, None)
    assert {"ip", "ua", "click_lookback", "cost"} <= set(touch.extra)
    assert "signature" not in touch.extra
    assert touch.signature_fault is fault
    assert counted(signing) == {**before, count: before[count] + 1}


def test_a_signature_of_a_partner_who_does_not_sign_is_taken_off_too(signing: Front) -> None:
    hit, _ = click(signing, f"a=1&signature={HEX}", link=MUTE)
    assert (hit.query, hit.signed, hit.signature_fault) == (
        "a=1",
        False,
        SignatureFault.NOT_SIGNING,
    )


def test_an_unsigned_click_counts_no_signature(signing: Front) -> None:
    before = counted(signing)
    hit, _ = click(signing, f"{STEERING}&my_signature=1")
    assert (hit.signed, hit.signature_fault) == (False, None)
    assert read_touch(hit, LINK).extra["my_signature"] == "1"
    assert counted(signing) == before


@pytest.mark.parametrize("word", ["redirect", "af_r", "redirect_android", "af_android_url"])
def test_a_signature_opens_no_redirect(signing: Front, word: str) -> None:
    said = f"{word}=https://evil.example/&{in_time()}"
    hit, location = click(signing, sign("/c/signed", said))
    assert hit.signed
    assert urlsplit(location).hostname == "play.google.com"
    assert "evil" not in location
    _, location = click(signing, sign("/c/signed", f"{word}=https://shop.example/&{in_time()}"))
    assert urlsplit(location).hostname == "shop.example"


def test_a_signature_travels_nowhere(signing: Front) -> None:
    signed = sign("/c/signed", f"referrer=utm_term%3Dx&{in_time()}")
    _, location = click(signing, signed)
    referrer = parse_qs(urlsplit(location).query)["referrer"][0]
    assert "utm_term=x" in referrer
    assert signed[-64:] not in location


@pytest.mark.parametrize(
    ("path", "headers", "reason"),
    [
        ("/c/signed", {"User-Agent": "WhatsApp/2.23.20.0 A"}, RefusalReason.LINK_PREVIEW),
        ("/c/unknown", {}, RefusalReason.UNKNOWN_LINK),
    ],
)
def test_a_refused_hit_is_kept_without_the_signature_that_still_steers(
    signing: Front, path: str, headers: dict[str, str], reason: RefusalReason
) -> None:
    signed = sign(path, f"a=%62&{in_time()}")
    before = signing.end()
    signing.ask("GET", f"{path}?{signed}", None, {**headers, "Referer": f"{ORIGIN}{path}?{signed}"})
    [refusal] = signing.since(Topic.REFUSED, before)
    assert refusal.reason is reason
    assert "a=%62&expires=" in refusal.query
    assert signed[-64:] not in repr(refusal)


def test_words_that_are_no_ascii_are_signed_as_sent(signing: Front) -> None:
    said = f"campaign=ü&{in_time()}"
    signed = sign("/c/signed", said)
    before = signing.end()
    head = f"GET /c/signed?{signed} HTTP/1.1\r\nHost: x\r\nUser-Agent: UA\r\n\r\n"
    assert b" 302 " in signing.raw(head.encode())
    [hit] = signing.since(Topic.TOUCHES, before)
    assert (hit.signed, hit.query) == (True, said)


def test_a_hit_without_a_signature_is_journaled_as_before() -> None:
    """Old journals hold such hits; both read the same."""
    hit = LinkHit(id="t", kind=TouchKind.CLICK, link="l", received_at_ms=1, query="a=1")
    assert set(msgspec.msgpack.decode(msgspec.msgpack.encode(hit))) == {
        "type", "id", "kind", "link", "received_at_ms", "query",
    }  # fmt: skip
