"""Signed links through a running house: made by the command, followed by people, told by explain."""

from __future__ import annotations

import hmac
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from house import CommandFailed, RunningHouse, http, wait_for

pytestmark = pytest.mark.server

PHONE = {
    "user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120 Mobile"
}


class Signer:
    """A partner that signs its links, and the people who follow them."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        self.app = house.cli(
            *("app", "add", "--name", "Game", "--platform", "android"),
            *("--store-id", "com.example.game"),
        )["app"]
        house.cli("partner", "add", "--name", "acme")
        self.link = house.cli("link", "add", "--app", self.app["id"], "--partner", "acme")["link"]
        self.secret = self.sign()
        wait_for(lambda: self.is_signed(self.secret), 5)

    def sign(self, *words: str) -> str:
        partner = self.house.cli("partner", "sign", "acme", *words)["partner"]
        assert partner["is_signing"] is True
        return partner["signing_secret"]

    def click(self, query: str, secret: str, for_s: int = 60) -> str:
        """The touch id that the store gets in its referrer."""
        url = urlsplit(self.link["click_url"])
        said = f"{query}&expires={int(time.time()) + for_s}"
        made = hmac.new(secret.encode(), f"{url.path}?{said}".encode(), "sha256").hexdigest()
        answer = http("GET", f"{url.geturl()}?{said}&signature={made}", headers=PHONE)
        assert answer.status == 302
        referrer = parse_qs(urlsplit(answer.headers["location"]).query)["referrer"][0]
        return parse_qs(referrer)["attribune_click"][0]

    def is_signed(self, secret: str) -> bool:
        """Whether a secret signs a click now, as the journal says."""
        touch = self.click("a=1", secret)
        [hit] = self.house.cli("journal", "tail", "--topic", "touches", "--last", "1")["entries"]
        assert hit["record"]["id"] == touch
        return hit["record"].get("signed", False)

    def story_of(self, device: str, touch: str) -> dict:
        """What an install with a click's referrer became."""
        record = {
            "id": f"open-{device}",
            "device": {"id": device, "platform": "android"},
            "referrers": [{"source": "play", "value": f"attribune_click={touch}"}],
        }
        url = f"{self.house.collector_url}/v1/open"
        assert http("POST", url, record, key=self.app["key"]).status == 200
        self.house.settle()
        [story] = self.house.cli("explain", device)["stories"]
        return story


@pytest.fixture
def signer(house: RunningHouse) -> Signer:
    return Signer(house)


def test_a_signed_window_decides_and_one_that_is_not_does_not(signer: Signer) -> None:
    touch = signer.click("click_lookback=1ms", signer.secret)
    time.sleep(0.01)  # the window that the click brought is over
    story = signer.story_of("d1", touch)
    [candidate] = story["candidates"]
    assert (story["source"], candidate["lost_because"]) == ("organic", "OUTSIDE_WINDOW")
    assert candidate["signature_fault"] is None

    expired = signer.click("click_lookback=1ms", signer.secret, for_s=-1)
    story = signer.story_of("d2", expired)
    assert (story["winner"]["touch_id"], story["winner"]["signature_fault"]) == (expired, "expired")
    assert story["candidates"][0]["signature_fault"] == "expired"

    forged = signer.click("click_id=c-9", "cs_somebodyelses")
    signer.house.settle()
    [story] = signer.house.cli("explain", "c-9")["stories"]
    assert [t["signature_fault"] for t in story["touches"]] == ["mismatch"]
    assert story["touches"][0]["touch_id"] == forged

    signer.house.cli("correct", "d1", "--to", forged, "--reason", "acme showed the bill")
    [story] = signer.house.cli("explain", "d1")["stories"]
    assert (story["winner"]["touch_id"], story["winner"]["signature_fault"]) == (forged, "mismatch")
    assert story["candidates"][0]["signature_fault"] == "mismatch"

    signer.house.settle()
    audit = signer.house.cli("audit")
    assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
    assert signer.house.cli("replay")["changed"] == 0


def test_a_new_secret_replaces_the_old_at_once_or_later_and_off_ends_all(signer: Signer) -> None:
    second = signer.sign("--overlap-hours", "1")
    wait_for(lambda: signer.is_signed(second), 5)
    assert signer.is_signed(signer.secret)
    third = signer.sign("--overlap-hours", "0")
    wait_for(lambda: signer.is_signed(third), 5)
    assert not signer.is_signed(second)
    assert not signer.is_signed(signer.secret)
    with pytest.raises(CommandFailed, match="leave --overlap-hours out"):
        signer.house.cli("partner", "sign", "acme", "--off", "--overlap-hours", "1")
    off = signer.house.cli("partner", "sign", "acme", "--off")["partner"]
    assert (off["is_signing"], "signing_secret" in off) == (False, False)
    wait_for(lambda: not signer.is_signed(third), 5)


def test_neither_secret_nor_signature_is_told_or_logged(tmp_path) -> None:
    with RunningHouse(tmp_path / "data", log_level="debug") as house:
        signer = Signer(house)
        secrets = [signer.secret, signer.sign()]
        signer.click("a=1", signer.secret)
        told = str(house.cli("journal", "tail", "--last", "100"))
        told += str(house.cli("partner", "list"))
        api_key = house.cli("key", "add", "--kind", "api", "--scopes", "read,write")["key"][
            "secret"
        ]
        made = http(
            *("POST", f"{house.web_url}/api/partners/acme/sign", {}),
            headers={"idempotency-key": "once"},
            key=api_key,
        )
        secrets.append(made.json()["partner"]["signing_secret"])
        house.settle()
        house.stop()
    told += house.stderr_file.read_text()
    told += (house.folder / "run" / "idempotency.jsonl").read_text()
    assert "acme" in told
    assert not [secret for secret in secrets if secret in told]
    assert "signature=" not in told
