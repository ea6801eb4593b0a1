"""``attribune postback``: what partners would be told, before anything is sent."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from house import CommandFailed, RunningHouse, http, wait_for

from attribune.cli.main import run

PHONE = {"user-agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0"}
GAID = "38400000-8cf0-11bd-b23e-10b96e40000d"


def said(capsys, *words: str, code: int = 0) -> dict:
    assert run(["postback", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_templates_say_what_they_need(capsys) -> None:
    found = {one["name"]: one for one in said(capsys, "templates")["templates"]}
    assert found["tune"]["settings"]["offer_id"]["required"]
    assert found["generic-json"]["without_sharing"] == "campaign"
    assert run(["postback", "templates"]) == 0
    assert "(security_token)" in capsys.readouterr().out


def test_a_preview_uses_the_operators_settings_and_shows_no_secret(capsys) -> None:
    words = (
        "--set",
        "network=mine.example",
        "--set",
        "security_token=hush",
        "--event",
        "purchase=ftd",
    )
    previews = said(capsys, "preview", "tune", *words)["previews"]
    urls = [one["request"]["url"] for one in previews if one["request"]]
    assert all(url.startswith("https://mine.example/aff_lsr?") for url in urls)
    assert any("adv_sub2=ftd" in url for url in urls)
    assert "hush" not in json.dumps(previews)
    assert run(["postback", "preview", "tune", *words]) == 0
    shown = capsys.readouterr().out
    assert "nothing is sent: {partner_click_id} has no value" in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("words", "param"),
    [
        (("preview", "tune", "--set", "netwrk=x"), "netwrk"),
        (("preview", "tune", "--set", "network"), "set"),
        (("preview", "generic-get", "--set", "url=https://p.example/?c={clickid}"), "url"),
    ],
)
def test_a_wrong_setting_is_named(capsys, words, param) -> None:
    assert said(capsys, *words, code=4)["error"]["param"] == param


def test_a_folder_of_ones_own_is_checked(capsys, tmp_path: Path) -> None:
    (tmp_path / "partner.toml").write_text(
        'title = "Mine"\nsource = "me"\n[[requests]]\ntriggers = ["install"]\nurl = "https://m.example/"\n'
    )
    case = '[[case]]\nname = "one"\ntrigger = "install"\nsends = { url = "https://m.example/" }\n'
    (tmp_path / "cases.toml").write_text(case)
    assert said(capsys, "check", str(tmp_path))["ok"]
    (tmp_path / "cases.toml").write_text(case.replace("m.example", "n.example"))
    answer = said(capsys, "check", str(tmp_path), code=1)
    assert not answer["ok"]
    assert "not 'https://n.example/'" in answer["cases"][0]["why"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Iterator[RunningHouse]:
    """A house in which somebody came by a click, bought, and gave it back."""
    with RunningHouse(tmp_path_factory.mktemp("postback") / "data") as house:
        house.cli(
            "app", "add", "--name", "Game", "--platform", "android", "--store-id", "com.example.g"
        )
        house.cli("partner", "add", "--name", "acme")
        link = house.cli("link", "add", "--app", "game-android", "--partner", "acme")["link"]
        key = house.cli("key", "add", "--app", "game-android", "--kind", "server")["key"]["secret"]
        url = f"{link['click_url']}?click_id=aff-1&promo=spring"
        wait_for(lambda: http("HEAD", url, headers=PHONE).status == 302)
        location = http("GET", url, headers=PHONE).headers["location"]
        referrer = parse_qs(urlsplit(location).query)["referrer"][0]
        device = {"id": "d1", "platform": "android", "gaid": GAID}
        money = {"amount": "12.50", "currency": "EUR"}
        came = {"source": "play", "value": referrer}
        records = [
            {"type": "open", "id": "o1", "device": device, "referrers": [came]},
            {
                "type": "event",
                "id": "e1",
                "device": device,
                "name": "buy",
                "revenue": money,
                "transaction_id": "n1",
            },
            {
                "type": "event",
                "id": "e2",
                "device": device,
                "name": "refund",
                "revenue": {"amount": "2.50", "currency": "EUR"},
                "transaction_id": "n1",
            },
            {
                "type": "event",
                "id": "e3",
                "device": device,
                "name": "refund",
                "transaction_id": "n1",
            },
        ]
        answer = http("POST", f"{house.collector_url}/v1/batch", {"records": records}, key=key)
        assert {one["status"] for one in answer.json()["results"]} == {"accepted"}
        house.settle()
        yield house


@pytest.mark.server
def test_a_preview_tells_what_really_happened(lived: RunningHouse) -> None:
    words = ("--set", "domain=x.affise.com", "--set", "secure=hush", "--event", "buy=sale")
    previews = lived.cli("postback", "preview", "affise", "--of", "d1", *words)["previews"]
    installed, bought, part, gave_back = previews[:4]  # another test corrects them
    conversion = installed["outcome_id"]
    query = f"clickid=aff-1&action_id={conversion}&goal=install&status=1&secure=SECURE"
    assert installed["request"]["url"] == f"https://x.affise.com/postback?{query}"
    assert (installed["trigger"], installed["partner"]) == ("install", "acme")
    query = "clickid=aff-1&action_id=n1&goal=sale&sum=12.50&status=1&secure=SECURE"
    assert bought["request"]["url"] == f"https://x.affise.com/postback?{query}"
    assert (part["trigger"], part["request"]) == ("partial_reversal", None)
    assert "2.50 of it was taken back and 10.00 is left" in part["skipped"]
    query = "clickid=aff-1&action_id=n1&goal=sale&status=3&secure=SECURE"
    assert gave_back["request"]["url"] == f"https://x.affise.com/postback?{query}"
    assert gave_back["trigger"] == "reversal"


@pytest.mark.server
def test_a_preview_follows_a_correction_and_reads_the_click_as_it_came(lived: RunningHouse) -> None:
    address = "https://p.example/{trigger}?c={partner_click_id}&p={extra.promo}&g={gaid}&app={store_id}&id={delivery_id}"
    words = ("postback", "preview", "generic-get", "--of", "d1", "--set", f"url={address}")
    before = lived.cli(*words)["previews"]
    said = f"c=aff-1&p=spring&g={GAID}&app=com.example.g&id=preview"
    assert before[0]["request"]["url"] == f"https://p.example/install?{said}"
    lived.cli("correct", before[0]["outcome_id"], "--to", "organic", "--reason", "a test")
    lived.settle()
    after = lived.cli(*words)["previews"]
    assert after[: len(before)] == before
    taken = [(one["trigger"], one["revision"]) for one in after[len(before) :]]
    assert taken == [("reversal", 2)] * 2, (
        "the install and the purchase; the refunds took back already"
    )
    assert after[len(before)]["request"]["url"] == f"https://p.example/reversal?{said}"


@pytest.mark.server
def test_a_preview_needs_to_know_where_and_refuses_what_is_wrong(
    lived: RunningHouse, capsys
) -> None:
    assert said(capsys, "preview", "tune", "--of", "d1", code=4)["error"]["param"] == "data"
    assert (
        lived.cli(
            "postback", "preview", "webhook", "--of", "nobody", "--set", "url=https://x.example/"
        )["previews"]
        == []
    )
    with pytest.raises(CommandFailed) as failed:
        lived.cli(
            "postback",
            "preview",
            "generic-get",
            "--of",
            "d1",
            "--set",
            "url=https://{gaid}.example/",
        )
    assert failed.value.error["param"] == "url"
    key = lived.cli("key", "add", "--kind", "api", "--scopes", "write")["key"]["secret"]
    asked = {"partner": "", "handle": "d1"}
    assert http("POST", f"{lived.web_url}/api/postbacks/preview", asked).status == 401
    assert http("POST", f"{lived.web_url}/api/postbacks/preview", asked, key=key).status == 403


class Receiver(BaseHTTPRequestHandler):
    """A partner that answers 200 to everything, and says no when the click is not known."""

    heard: ClassVar[list[str]] = []
    signatures: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.heard.append(self.path)
        self.signatures.append(self.headers["attribune-signature"])
        body = b"success=true;" if "known" in self.path else b"success=false; \x1b[31mno such click"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Receiver.heard.clear()
    Receiver.signatures.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def mine(tmp_path: Path, base: str, click: str) -> str:
    (tmp_path / "partner.toml").write_text(
        'title = "Mine"\nsource = "me"\n[settings.token]\nhelp = "t"\nshape = "secret"\n'
        f'[[requests]]\ntriggers = ["install"]\nurl = "{base}/pb?c={{partner_click_id}}&t={{setting.token}}"\n'
        '[success]\nbody = "success=true"\n'
    )
    (tmp_path / "cases.toml").write_text(
        f'[[case]]\nname = "one"\ntrigger = "install"\nvalues = {{ partner_click_id = "{click}" }}\n'
        'sends = { url = "not what is tried here" }\n'
        '[[case]]\nname = "two"\ntrigger = "reversal"\nskips = "the partner is not told of reversal"\n'
    )
    return str(tmp_path)


@pytest.mark.enable_socket
def test_a_test_sends_for_real_and_the_partners_words_decide(capsys, tmp_path, receiver) -> None:
    words = ("--set", "token=hush", "--allow-host", "127.0.0.1")
    tried = said(capsys, "test", mine(tmp_path, receiver, "known-1"), *words)["test"]
    assert (tried["came"], tried["answer"]["status"]) == ("delivered", 200)
    assert Receiver.heard == ["/pb?c=known-1&t=hush"]
    assert tried["request"]["url"].endswith("t=TOKEN")
    assert "hush" not in json.dumps(tried)
    said(capsys, "test", mine(tmp_path, receiver, "known-2"), *words, "--sign-with", "ps_secret")
    bare, signed = Receiver.signatures
    assert (bare, signed is None) == (None, False)
    at_ms, digest = re.fullmatch("t=([0-9]{13}),v1=([0-9a-f]{64})", str(signed)).groups()
    text = f"{at_ms}.{receiver}/pb?c=known-2&t=hush"
    assert digest == hmac.new(b"ps_secret", text.encode(), hashlib.sha256).hexdigest()
    folder = mine(tmp_path, receiver, "strange")
    assert said(capsys, "test", folder, *words, code=1)["test"]["came"] == "declined"
    assert run(["postback", "test", folder, *words]) == 1
    shown = capsys.readouterr().out
    assert "no such click" in shown
    assert "\x1b" not in shown, "an answer cannot steer the terminal"


@pytest.mark.parametrize(
    ("partner", "given", "missing"),
    [
        ("tune", ("network=example.go2cloud.org",), "offer_id"),
        ("generic-get", (), "url"),
        ("impact", ("account_sid=x",), "auth_token"),
    ],
)
def test_a_test_sends_nothing_with_settings_that_nobody_gave(
    capsys, partner, given, missing
) -> None:
    words = [word for one in given for word in ("--set", one)]
    assert said(capsys, "test", partner, *words, code=4)["error"]["param"] == missing


@pytest.mark.enable_socket
def test_a_test_goes_nowhere_that_was_not_allowed(capsys, tmp_path, receiver) -> None:
    folder = mine(tmp_path, receiver, "known-1")
    tried = said(capsys, "test", folder, "--set", "token=t", code=1)["test"]
    assert "not of the public internet" in tried["answer"]["error"]
    assert Receiver.heard == []
    assert (
        said(capsys, "test", folder, "--set", "token=t", "--case", "two", code=4)["error"]["param"]
        == "case"
    )
    assert said(capsys, "test", folder, "--case", "three", code=3)["error"]["type"] == "not_found"
