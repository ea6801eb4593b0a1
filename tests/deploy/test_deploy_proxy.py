"""The example of nginx, with TLS, in front of a house: who came is known, and who sends too much or too slowly is ended."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from fire.senders import BROWSER
from house import RunningHouse, wait_for

from attribune.settings import Settings

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

ROOT = Path(__file__).parent.parent.parent
CONF = (ROOT / "deploy/nginx/attribune.conf").read_text()
CADDY = (ROOT / "deploy/caddy/Caddyfile").read_text()
#: Shorter than in the example, so that tests wait shortly.
SILENCE_S = 2
BODY_WAIT_MS = 2500
PERSON, COLLEAGUE = "127.0.0.2", "127.0.0.3"
WRAPPED = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/attribune.conf;
}}
"""


class Front(NamedTuple):
    """A house behind nginx."""

    house: RunningHouse
    http: int
    https: int
    link: str
    key: str


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def rendered(house: RunningHouse, folder: Path, plain: int, secret: int) -> str:
    """The example with ports, certificates and times of this test."""
    text = re.sub(r"\n *listen \[::\][^\n]*", "", CONF)
    for shown, real in (
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443", f"listen 127.0.0.1:{secret}"),
        ("127.0.0.1:8080", house.collector_url.removeprefix("http://")),
        ("127.0.0.1:8081", house.web_url.removeprefix("http://")),
        ("/etc/ssl/attribune", str(folder)),
        ("10.0.0.0/8", f"{COLLEAGUE}/32"),
        ("client_header_timeout 10s", f"client_header_timeout {SILENCE_S}s"),
        ("client_body_timeout 10s", f"client_body_timeout {SILENCE_S}s"),
    ):
        assert shown in text, shown
        text = text.replace(shown, real)
    return text


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    for tool in ("nginx", "openssl"):
        assert shutil.which(tool), f"{tool} is missing; install it (apt-get install {tool})"
    folder = tmp_path_factory.mktemp("front")
    plain, secret = free_port(), free_port()
    certificate = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=go.example.com "
        f"-keyout {folder}/privkey.pem -out {folder}/fullchain.pem"
    )
    subprocess.run(certificate.split(), check=True, capture_output=True)
    settings = {"proxy_hops": 1, "body_wait_ms": BODY_WAIT_MS}
    with RunningHouse(folder / "data", **settings) as house:
        house.cli("app", "add", "--name", "G", "--platform", "android", "--store-id", "com.e.g")
        house.cli("partner", "add", "--name", "acme")
        link = house.cli("link", "add", "--app", "g-android", "--partner", "acme")["link"]["id"]
        key = house.cli("key", "add", "--app", "g-android", "--kind", "server")["key"]["secret"]
        (folder / "attribune.conf").write_text(rendered(house, folder, plain, secret))
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(WRAPPED.format(folder=folder, user=user))
        command = ["nginx", "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "error.log"]
        subprocess.run([*command, "-t"], check=True)
        process = subprocess.Popen(command)
        try:
            wait_for(lambda: is_open(secret), why=f"nginx did not start; see {folder}/error.log")
            yield Front(house, plain, secret, link, key)
        finally:
            process.terminate()
            process.wait(10)


def is_open(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def secured() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def ask(
    front: Front,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    host: str = "go.example.com",
    who: str = PERSON,
) -> tuple[int, dict[str, str]]:
    door = http.client.HTTPSConnection(
        "127.0.0.1", front.https, timeout=20, context=secured(), source_address=(who, 0)
    )
    try:
        door.request(method, path, body, {"Host": host, **(headers or {})})
        answer = door.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        door.close()


def test_a_click_comes_from_whom_nginx_saw_and_not_from_whom_it_says(front: Front) -> None:
    forged = {**BROWSER, "X-Forwarded-For": "198.51.100.7, 203.0.113.9"}
    status, headers = ask(front, "GET", f"/c/{front.link}?campaign=spring", forged)
    assert status == 302
    assert "id=com.e.g" in headers["location"]
    assert "strict-transport-security" in headers
    tail = front.house.cli("journal", "tail")["entries"]
    hits = [entry["record"] for entry in tail if entry["topic"] == "touches"]
    assert hits[-1]["ip"] == PERSON


def test_a_link_with_a_long_query_is_followed(front: Front) -> None:
    query = "x=" + "y" * (Settings().query_bytes_max - 100)
    assert ask(front, "GET", f"/c/{front.link}?{query}", BROWSER)[0] == 302


def test_records_pass_and_a_body_that_is_too_large_does_not(front: Front) -> None:
    said = {"Authorization": f"Bearer {front.key}", "Content-Type": "application/json"}
    most = Settings().body_bytes_max
    refused_before = counted(front, "requests")
    assert ask(front, "POST", "/v1/batch", said, b"x" * most)[0] == 400
    assert counted(front, "requests") == refused_before + 1
    assert ask(front, "POST", "/v1/batch", said, b"x" * (most + 1))[0] == 413
    assert counted(front, "requests") == refused_before + 1
    batch = b'{"records": [{"type": "open", "id": "o1", "device": {"id": "d1"}}]}'
    assert ask(front, "POST", "/v1/batch", said, batch)[0] == 200


def counted(front: Front, name: str) -> int:
    """What the collector has counted, when it has said so for sure."""
    time.sleep(0.3)
    roles = front.house.cli("status")["status"]["roles"]
    return next(r["counters"][name] for r in roles if r["role"] == "collector-1")


HEAD = (
    b"POST /v1/batch HTTP/1.1\r\nHost: go.example.com\r\nContent-Length: 1000\r\n"
    b"Content-Type: application/json\r\nAuthorization: Bearer "
)


@pytest.mark.parametrize("said", [HEAD[:60], None], ids=["within the head", "within the body"])
def test_a_sender_who_falls_silent_is_ended(front: Front, said: bytes | None) -> None:
    with linked(front) as link:
        link.sendall(said or HEAD + front.key.encode() + b"\r\n\r\n{")
        begun = time.monotonic()
        while heard(link):
            pass
        assert time.monotonic() - begun < SILENCE_S * 3


def test_a_sender_who_drips_is_ended_too(front: Front) -> None:
    """Nginx counts silence alone; the house counts the whole body."""
    with linked(front) as link:
        link.sendall(HEAD + front.key.encode() + b"\r\n\r\n")
        link.settimeout(0.4)
        begun, said = time.monotonic(), b""
        while not said:
            assert time.monotonic() - begun < BODY_WAIT_MS / 1000 * 3
            link.sendall(b" ")
            try:
                said = link.recv(4096)
            except TimeoutError:
                continue
        assert said.startswith(b"HTTP/1.1 408")


@contextmanager
def linked(front: Front) -> Iterator[ssl.SSLSocket]:
    raw = socket.create_connection(("127.0.0.1", front.https), timeout=20)
    with secured().wrap_socket(raw, server_hostname="go.example.com") as link:
        yield link


def heard(link: ssl.SSLSocket) -> bytes:
    try:
        return link.recv(4096)
    except (ConnectionResetError, ssl.SSLError):
        return b""


def test_who_comes_without_tls_is_led_to_it(front: Front) -> None:
    door = http.client.HTTPConnection("127.0.0.1", front.http, timeout=10)
    door.request("GET", "/c/x?a=1", headers={"Host": "go.example.com"})
    answer = door.getresponse()
    assert (answer.status, answer.getheader("location")) == (308, "https://go.example.com/c/x?a=1")
    door.close()


def test_the_api_is_for_colleagues_and_its_metrics_for_nobody(front: Front) -> None:
    api = "attribune.example.com"
    assert ask(front, "GET", "/api/status", host=api, who=COLLEAGUE)[0] == 401
    assert ask(front, "GET", "/api/status", host=api)[0] == 403
    assert ask(front, "GET", "/metrics", host=api, who=COLLEAGUE)[0] == 403
    assert ask(front, "GET", "/api/status", who=COLLEAGUE)[0] == 404


def seconds(text: str, pattern: str) -> int:
    found = re.search(pattern + r" (\d+)s", text)
    assert found, pattern
    return int(found[1])


def test_the_limits_of_the_examples_fit_the_settings() -> None:
    settings = Settings()
    assert f"client_max_body_size {settings.body_bytes_max >> 20}m;" in CONF
    assert "max_size" not in CADDY  # Attribune's own answer says what to do
    idle_s = settings.idle_wait_ms / 1000
    # The one inside `upstream` comes first.
    assert seconds(CONF, "keepalive_timeout") < idle_s
    assert seconds(CADDY, "keepalive") < idle_s
    wait_s = settings.body_wait_ms / 1000 + settings.attribution_wait_ms / 1000
    assert seconds(CONF, "proxy_read_timeout") > wait_s
    assert seconds(CADDY, "response_header_timeout") > wait_s
    for text in (CONF, CADDY):
        assert f":{settings.port}" in text
        assert "proxy_hops = 1" in text
