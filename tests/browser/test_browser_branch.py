"""Branch's own library for the web, unmodified, in a real browser on a page that a click of ours led to."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from house import RunningHouse, http, wait_for
from shop import Person, Server, person

sys.path.insert(0, str(Path(__file__).parents[1] / "collect"))
from node_home import installed

pytestmark = [pytest.mark.server, pytest.mark.enable_socket, pytest.mark.timeout(180)]
KEY = "key_live_abcdefghijklmnopqrstuvwxyz012345"
PAGE = """<!doctype html><meta charset=utf-8><title>Site</title><link rel=icon href=data:,>
<script src="/branch.js"></script>
<script>
window.told = {};
branch.setAPIUrl("DOOR");
branch.init("KEY", {timeout: 1000}, (fault, data) => { told.init = {fault: fault && String(fault), data}; });
window.ask = (name, call, ...words) => call.call(branch, ...words, (fault, data) => { told[name] = {fault: fault && String(fault), data: data === undefined ? null : data}; });
</script>"""


class Site(NamedTuple):
    """A site with the library on it, which speaks to a door of ours."""

    house: RunningHouse
    origin: str
    door: str

    def told(self, visitor: Person, name: str) -> Any:
        """What a callback of the page received."""
        wait_for(lambda: visitor.js("return !!(window.told && told[arguments[0]])", name), 20)
        return visitor.js("return told[arguments[0]]", name)

    def events(self, device: str) -> dict[str, Any]:
        """The newest event of each name that is kept of a device."""
        said = self.house.cli("journal", "tail", "--topic", "activity", "--last", "100")
        kept = [entry["record"] for entry in said["entries"]]
        return {
            record["name"]: record
            for record in kept
            if record["type"] == "event" and record["device"]["id"] == device
        }

    def records(self) -> list[dict[str, Any]]:
        return self.house.cli("door", "log", "--limit", "1000")["rows"]


@pytest.fixture(scope="module")
def site(shared_house: RunningHouse, server: Server) -> Site:
    house = shared_house
    app = house.cli("app", "add", "--name", "Site", "--platform", "web", "--store-id", f"{server.origin}/site", "--currency", "EUR")["app"]  # fmt: skip
    door = house.cli("door", "add", "--app", app["id"], "--dialect", "branch", "--key", KEY)["door"]
    url = door["url"].rstrip("/")
    library = installed("node-branch") / "node_modules" / "branch-sdk" / "dist" / "build.min.js"
    server.pages["/branch.js"] = library.read_text()
    server.pages["/site"] = PAGE.replace("DOOR", url).replace("KEY", KEY)
    wait_for(lambda: http("POST", f"{url}/v1/open", {}).status == 401)
    return Site(house, server.origin, url)


class Fingerprints:
    """``https://app.link``, whose address is compiled into the library: hands its one question on to the door."""

    def __init__(self, door: str, folder: Path) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                answer = http("GET", f"{door}{self.path}")
                body = answer.body
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        certificate, key = folder / "cert.pem", folder / "key.pem"
        words = (
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=app.link",
        )
        subprocess.run(["openssl", *words, "-keyout", key, "-out", certificate], check=True, capture_output=True)  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port = self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def fingerprints(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fingerprints]:
    running = Fingerprints(site.door, tmp_path_factory.mktemp("app-link"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser(fingerprints: Fingerprints) -> Iterator[Person]:
    rules = f"--host-resolver-rules=MAP app.link:443 127.0.0.1:{fingerprints.port}"
    with person(rules, "--ignore-certificate-errors") as one:
        yield one


def visit(visitor: Person, url: str) -> None:
    visitor.driver.get(url)
    wait_for(lambda: visitor.js("return !!(window.told && told.init)"), 20)


def call(visitor: Person, name: str, method: str, *words: Any) -> None:
    visitor.js("ask(arguments[0], branch[arguments[1]], ...arguments[2])", name, method, list(words))  # fmt: skip


def check_words(kept: dict[str, Any], items: list[Any]) -> None:
    """Everything that the page said of its events stands where it belongs."""
    order = kept["PURCHASE"]
    assert order["revenue"] == {"amount_minor": 1250, "currency": "EUR"}
    assert (order["transaction_id"], order["user_id"]) == ("T-1", "user-1")
    params = {name: json.loads(value) for name, value in order["params"].items()}
    assert params["content_items"] == items
    assert (params["colour"], params["customer_event_alias"]) == ("blue", "first order")
    assert json.loads(kept["played"]["params"]["level"]) == "3"
    assert (order["device"]["platform"], order["sdk"]) == ("web", "web2.89.2")


def test_from_a_link_of_the_page_to_a_purchase_that_is_credited(
    site: Site, browser: Person, fingerprints: Fingerprints
) -> None:
    browser.forgets(site.origin)
    visit(browser, f"{site.origin}/site")
    first = site.told(browser, "init")
    assert first["fault"] is None
    data = first["data"]["data_parsed"]
    assert (data["+clicked_branch_link"], data["+is_first_session"]) == (False, True)

    wanted = {"data": {"item": "7", "$og_title": "T"}, "channel": "mail", "campaign": "friends", "feature": "share", "tags": ["a", "b"]}  # fmt: skip
    call(browser, "link", "link", wanted)
    made = site.told(browser, "link")
    assert made["fault"] is None
    url = made["data"]
    assert url.startswith(f"{site.house.collector_url}/c/bl_")
    wait_for(lambda: http("HEAD", url).status == 302)

    browser.js("localStorage.clear(); sessionStorage.clear()")
    visit(browser, url)
    said = site.told(browser, "init")["data"]
    data = said["data_parsed"]
    assert (data["+clicked_branch_link"], data["item"], data["$og_title"]) == (True, "7", "T")
    assert (data["~campaign"], data["~channel"], data["~tags"]) == ("friends", "mail", ["a", "b"])
    assert data["~referring_link"] == url
    call(browser, "data", "data")
    assert site.told(browser, "data")["data"]["data_parsed"]["item"] == "7"

    call(browser, "identity", "setIdentity", "user-1")
    assert site.told(browser, "identity")["fault"] is None
    items = [{"$sku": "s-1", "$price": 12.5, "$quantity": 1}]
    bought = {"transaction_id": "T-1", "revenue": 12.5, "currency": "EUR", "colour": "blue"}
    call(browser, "bought", "logEvent", "PURCHASE", bought, items, "first order")
    assert site.told(browser, "bought")["fault"] is None
    call(browser, "own", "logEvent", "played", {"level": "3"})
    assert site.told(browser, "own")["fault"] is None
    call(browser, "seen", "track", "pageview")
    assert site.told(browser, "seen")["fault"] is None
    call(browser, "left", "logout")
    assert site.told(browser, "left")["fault"] is None

    device = browser.js("return new Promise((done) => branch.getBrowserFingerprintId((fault, id) => done(id)))")  # fmt: skip
    site.house.settle()
    [story] = site.house.cli("explain", device)["stories"]
    assert (story["kind"], story["method"]) == ("install", "REFERRER")
    assert story["winner"]["campaign"] == "friends"
    events = {event["name"]: event for event in story["events"]}
    assert {"PURCHASE", "played", "pageview"} <= set(events)
    assert events["PURCHASE"]["revenue"] == {"amount": "12.50", "currency": "EUR"}
    check_words(site.events(device), items)
    assert fingerprints.asked[0].startswith("/_r?sdk=web2.89.2")
    assert not [
        row for row in site.records() if row["is_refused"] and row["reason"] != "unknown_key"
    ]


def test_another_key_is_told_to_the_page(site: Site, browser: Person, server: Server) -> None:
    server.pages["/wrong"] = server.pages["/site"].replace(KEY, f"{KEY[:-3]}999")
    browser.forgets(site.origin)
    browser.js("sessionStorage.clear()")
    visit(browser, f"{site.origin}/wrong")
    assert site.told(browser, "init")["fault"]
    assert json.dumps(site.records()).count("unknown_key")
