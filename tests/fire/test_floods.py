"""Floods of heads and bodies, the refused stream at its quota, and a hostile API: no fault of ours, memory bounded, the honest served."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from fire.attackers import Attack
from fire.senders import Addresses
from fire.siege import Siege
from house import RunningHouse, http, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

FLOOD_S = 4
ATTACKERS = 24
#: An honest sender shares two cores with the attackers and all roles, and waits for a piece of work of each attacker.
HONEST_MS_MAX = 2500
#: A collector holds at most a body of 1 MiB for each attacker, as sent, unpacked and read, and what waits for the disk.
COLLECTOR_BYTES_MAX = 224 << 20
#: The store's memtables and the facts' inserts fill under any load, up to limits of their own.
VIEW_BYTES_MAX = 384 << 20
#: What stays when it is over: allocators keep pages.
SLACK_BYTES = 128 << 20

HOST = "Host: x\r\n"


def get(path: str, heads: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\n{HOST}{heads}\r\n"


def post(key: str, body: str | bytes, heads: str = "", *, length: int | None = None) -> str:
    """A batch; ``length`` is what it says of itself, if not the truth."""
    said = body.decode("latin-1") if isinstance(body, bytes) else body
    head = f"POST /v1/batch HTTP/1.1\r\n{HOST}Authorization: Bearer {key}\r\n{heads}"
    if "chunked" not in heads:
        head += f"Content-Length: {len(said) if length is None else length}\r\n"
    return f"{head}\r\n{said}"


def wide(n: int) -> dict[str, Any]:
    """A record of 10 KB that is good, with ids as long as they may be."""
    return {
        "type": "open",
        "id": f"{n}-".ljust(256, "i"),
        "device": {"id": f"{n}-".ljust(256, "d"), "platform": "android"},
        **{f"field{m}": "v" * 2000 for m in range(4)},
    }


def floods(at: Addresses) -> dict[str, tuple[list[str], set[str]]]:
    """What is sent, and what it may be answered with."""
    key, click = at.key, at.click_path
    return {
        "many heads": ([get(click, "".join(f"X-{n}: v\r\n" for n in range(90)))], {"302"}),
        "too many heads": ([get(click, "".join(f"X-{n}: v\r\n" for n in range(500)))], {"431"}),
        "huge heads": ([get("/c/none", f"X-A: {'a' * 60_000}\r\n")], {"404"}),
        "an endless head": ([f"GET /c/x HTTP/1.1\r\nX-A: {'a' * 70_000}"], {"431"}),
        "many paths": ([get(f"/p{n}") for n in range(50)], {"404"}),
        "many links": ([get(f"/c/l{n}") for n in range(50)], {"404"}),
        "long queries": ([get(f"{click}?{'a=1&' * 4000}"), get(f"{click}?{'x' * 60_000}")], {"302"}),
        "a huge body announced": ([post(key, "x" * 100_000, length=10**11)], {"413"}),
        "chunks": (
            [post(key, ("8000\r\n" + "x" * 0x8000 + "\r\n") * 100, "Transfer-Encoding: chunked\r\n")],
            {"413"},
        ),
        "a bomb": (
            [post(key, gzip.compress(bytes(100 << 20), 9), "Content-Encoding: gzip\r\n")],
            {"413"},
        ),
        "depth": ([post(key, '{"records":[' + "[" * 500_000)], {"400"}),
        "bad records": ([post(key, json.dumps({"records": [1] * 1000}))], {"200"}),
        "wide records": (
            [
                post(key, json.dumps({"records": [wide(100 * m + n) for n in range(100)]}))
                for m in range(4)
            ],
            {"200"},
        ),
    }  # fmt: skip


def test_floods_of_heads_and_bodies_are_answered_as_documented(tmp_path) -> None:
    with RunningHouse(tmp_path / "data") as house:
        with Siege(house) as siege:
            kinds = floods(siege.at)
            requests = [kind[0][n % len(kind[0])] for n in range(50) for kind in kinds.values()]
            with Attack(siege.at.host, requests[: 13 * 20], ATTACKERS, again=True) as attack:
                time.sleep(FLOOD_S)
                seen = attack.end()
            assert set(seen.statuses) == set.union(*(kind[1] for kind in kinds.values())), seen
            siege.check_honest(HONEST_MS_MAX, at_least=20)
            counters = siege.counters()
            assert (counters["faults"], counters["journal_failures"], counters["crowded"]) == (
                0,
                0,
                0,
            )
            grown = siege.grown()
            assert grown["collector-1"] <= COLLECTOR_BYTES_MAX, grown
            assert max(grown["attributor"], grown["web"]) <= VIEW_BYTES_MAX, grown
        siege.check_counted()
        assert siege.grown_now("collector-1") <= SLACK_BYTES
        assert "door_failed" not in house.stderr_file.read_text()


QUOTA = 64 << 10
#: What a refusal may take on disk beyond the quota: a short head, hash and length, its place, and a page's unused part.
CUT_BYTES_MAX = 1536
#: Of what is kept whole: pages are 4 KiB.
DISK_FACTOR = 3


def test_a_full_refused_stream_stops_nobody_and_loses_no_count(tmp_path) -> None:
    with RunningHouse(tmp_path / "data", refused_bytes_per_s_max=QUOTA) as house:
        with Siege(house) as siege:
            heads = "".join(f"X-{n}: {'v' * 900}\r\n" for n in range(20))
            bad = post(siege.at.key, "{" + "x" * 12_000, heads)
            before, began = disk_bytes(house.folder / "journal"), time.monotonic()
            honest_before = siege.server.count + siege.person.count
            with Attack(siege.at.host, [bad], ATTACKERS, again=True) as attack:
                time.sleep(FLOOD_S)
                seen = attack.end()
            took_s = time.monotonic() - began
            assert seen.statuses == {"400": seen.requests}, seen
            # What was refused, kept whole or cut, is counted, one by one.
            wait_for(lambda: siege.counters()["refused"] == seen.requests, 5)
            cut = siege.counters()["refused_cut"]
            assert 0 < cut < seen.requests
            written = disk_bytes(house.folder / "journal") - before
            honest = siege.server.count + siege.person.count - honest_before
            most = (took_s + 2) * QUOTA * DISK_FACTOR + (cut + 8 * honest) * CUT_BYTES_MAX
            assert written <= most, (written, most)
            assert most < seen.requests * 20_000, "whole, they would have taken less than the bound"
            siege.check_honest(HONEST_MS_MAX, at_least=20)
            assert siege.grown()["collector-1"] <= COLLECTOR_BYTES_MAX / 2
            said = http("GET", f"{house.web_url}/metrics").body.decode()
            assert (
                f'attribune_role_counted_total{{role="collector-1",what="refused_cut"}} {cut}'
                in (said.replace(".0\n", "\n"))
            )
        siege.check_counted()
        rows = house.cli("report", "--metrics", "refused", "--by", "reason")["rows"]
        assert {row["reason"]: row["refused"] for row in rows} == {"malformed": seen.requests}
        assert house.cli("audit")["ok"]


def disk_bytes(folder: Path) -> int:
    """What the files of a folder take, holes left out."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


#: More than the API has places, 4,096, so that room must be made.
API_CROWD = 5000
#: What reports may take all together has a setting (``facts_memory_bytes_max``), lowered here to less.
FACTS_BYTES_MAX = 256 << 20


def test_a_hostile_api_caller_stops_neither_the_doors_nor_other_callers(tmp_path) -> None:
    with RunningHouse(tmp_path / "data", facts_memory_bytes_max=FACTS_BYTES_MAX) as house:
        at = house.web_url.rpartition("/")[2]
        key = house.cli("key", "add", "--kind", "api", "--scopes", "read")["key"]["secret"]
        with Siege(house) as siege:
            bearer = f"Authorization: Bearer {key}\r\n"
            names = "metrics=clicks,installs,events,refused&by=day,partner,link,reason,app"
            asks = [
                get(f"/api/report?{names}&rows_max=1000000", bearer),
                get(f"/api/report?by={'x' * 30_000}", bearer),
                get(f"/api/report?{'where=partner%3Dacme&' * 500}", bearer),
                get("/api/export/touches?first_day=2000-01-01&last_day=2100-01-01", bearer),
                get(f"/api/explain?handle={'x' * 2048}", bearer),
                get(f"/api/explain?handle={'x' * 20_000}", bearer),
            ]
            with (
                Attack(at, ["", "GET /api/x HTTP/1.1\r\nX-A: "], API_CROWD, again=True),
                Attack(at, asks, 16, again=True) as askers,
            ):
                time.sleep(FLOOD_S)
                slowest = 0.0
                for _ in range(5):
                    begun = time.monotonic()
                    assert http("GET", f"{house.web_url}/readyz").status == 200
                    slowest = max(slowest, time.monotonic() - begun)
                seen = askers.end()
            assert slowest * 1000 <= 2 * HONEST_MS_MAX
            assert sum(seen.statuses.values()) > 10, seen
            assert set(seen.statuses) <= {"200", "400", "404", "429"}, seen
            siege.check_honest(HONEST_MS_MAX, at_least=20)
            assert siege.counters("web")["connections_closed"] > 0
            assert siege.grown()["web"] <= FACTS_BYTES_MAX + VIEW_BYTES_MAX
            siege.wait_for_sockets("web", 10)
        siege.check_counted()
        assert "request_crashed" not in house.stderr_file.read_text()
