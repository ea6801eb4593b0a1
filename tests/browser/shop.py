"""A shop on loopback whose pages carry the script, and the browser of a person who visits it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from house import RunningHouse, http, wait_for
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

#: The lines of the guide that a page carries.
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "web.md"
STUB = GUIDE.read_text().partition("```html\n")[2].partition("```")[0]


class Server:
    """Serves pages by path; each is the guide's snippet and what a test adds to it."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.get(urlsplit(self.path).path, "<title>Nothing</title>").encode()
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Shop:
    """A product with a site and an Android app, its pages, and what came of them."""

    def __init__(self, house: RunningHouse, server: Server) -> None:
        self.house, self.server = house, server
        self.site = self._add("web", f"{server.origin}/")
        self.app = self._add("android", "com.example.shop", "--product", self.site["product"])
        self.server_key = self._server_key(self.site["id"])
        self.app_server_key = self._server_key(self.app["id"])
        for path, words in {
            "/": "",
            "/ask": 'data-consent="required"',
            "/day": 'data-days="1"',
        }.items():
            self.page(path, words)

    def _add(self, platform: str, store: str, *more: str) -> dict[str, Any]:
        words = ("--name", "Shop", "--platform", platform, "--store-id", store, *more)
        return self.house.cli("app", "add", *words, "--currency", "EUR")["app"]

    def _server_key(self, app: str) -> str:
        return self.house.cli("key", "add", "--app", app, "--kind", "server")["key"]["secret"]

    def page(self, path: str, words: str = "", server: Server | None = None) -> None:
        """Serve the guide's snippet with this house's address and key, and more options."""
        snippet = STUB.replace("https://go.example.com", self.house.collector_url)
        snippet = snippet.replace('data-key="ak_…"', f'data-key="{self.site["key"]}" {words}')
        page = f"<!doctype html><meta charset=utf-8><title>Shop</title><link rel=icon href=data:,>{snippet}"
        (server or self.server).pages[path] = page

    def link(self, partner: str) -> str:
        self.house.cli("partner", "add", "--name", partner, "--kind", "affiliate")
        words = ("--app", self.site["id"], "--partner", partner)
        return self.house.cli("link", "add", *words)["link"]["id"]

    def tell(self, key: str, **record: Any) -> dict[str, Any]:
        """One event by a server."""
        url = f"{self.house.collector_url}/v1/event"
        answer = http("POST", url, record, key=key)
        assert answer.status == 200, answer
        return answer.json()

    def stories(self, handle: str) -> list[dict[str, Any]]:
        self.house.settle()
        return self.house.cli("explain", handle)["stories"]


class Person:
    """A browser, one page at a time."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def goes(self, url: str) -> None:
        self.driver.get(url)
        wait_for(lambda: self.js("return !!(window.attribune && attribune.isReady)"))

    def js(self, code: str, *words: Any) -> Any:
        return self.driver.execute_script(code, *words)

    def says(self, *words: Any) -> None:
        """Call the script as a page does."""
        self.js("attribune(...arguments)", *words)

    def store(self) -> dict[str, Any] | None:
        """What the script has stored on the page's site."""
        text = self.js("return localStorage.getItem('attribune')")
        return json.loads(text) if text else None

    def device(self) -> str:
        state = self.store()
        assert state
        return state["id"]

    def calls(self) -> list[str]:
        """The addresses of the collector that the page has called, besides the script's own."""
        code = "return performance.getEntriesByType('resource').map((one) => one.name)"
        return [url for url in self.js(code) if "/v1/" in url or "/c/" in url]

    def has_told_all(self, within_s: float = 10) -> None:
        wait_for(lambda: not (self.store() or {"queue": []})["queue"], within_s, "it was not told")

    def offline(self, is_off: bool) -> None:
        self.driver.set_network_conditions(
            offline=is_off, latency=0, download_throughput=-1, upload_throughput=-1
        )

    def forgets(self, origin: str) -> None:
        """Begin anew, as somebody else."""
        self.driver.get(f"{origin}/nothing")
        self.js("localStorage.clear()")


@contextmanager
def person(*more: str) -> Iterator[Person]:
    """Chromium without a window, while the block runs; ``more`` are flags of its command line."""
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--no-first-run",
        *more,
    ):
        options.add_argument(flag)
    driver = Chrome(options, ChromeService("/usr/bin/chromedriver"))
    try:
        yield Person(driver)
    finally:
        driver.quit()
