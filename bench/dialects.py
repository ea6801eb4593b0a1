"""`dialects`: what each dialect's door takes, beside the native door that takes as many records a request.

The letters are the samples that each dialect gives of itself, with ids of their own, and as many to a letter as its clients send. A dialect
whose clients send one at a time is beside the native door for one record.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from harness import Plan, Result, compared, say
from house import Registered, ask, collector, register
from load import answer_to, load, post, write_requests
from opens import check_accepted
from traffic import agent, event

from attribune.collect.dialects import DIALECTS, Dialect, Letter

RATIO_MIN = 0.5
#: Made before each measurement, so that no request comes twice within it.
LETTERS = 400
#: The list of a letter's body, and how many records its clients put into it.
MANY = {
    "segment": ("batch", 100),
    "rudder": ("batch", 100),
    "posthog": ("batch", 100),
    "snowplow": ("data", 100),
    "amplitude": ("events", 100),
    "ga4": ("events", 25),
}
KEY = "key_live_benchbenchbenchbenchbenchbe"


def measure(plan: Plan) -> list[Result]:
    """Records a second of one collector process on one core, of each dialect and of the native door in turn."""
    results = []
    with tempfile.TemporaryDirectory(prefix="attribune-bench-") as folder:
        data = Path(folder) / "data"
        known = register(data)
        doors = {name: _door(data, known, name) for name in DIALECTS}
        with collector(data) as port:
            native = {
                many: _native(known, many) for many in {1, *(many for _, many in MANY.values())}
            }
            for name, requests in {
                one: _letters(DIALECTS[one], doors[one]) for one in DIALECTS
            }.items():
                many = MANY.get(name, ("", 1))[1]
                results.append(
                    _beside(plan, Path(folder), port, name, many, requests, native[many])
                )
    return results


def _beside(
    plan: Plan,
    folder: Path,
    port: int,
    name: str,
    many: int,
    theirs: list[bytes],
    native: list[bytes],
) -> Result:
    ours, yard = [], []
    status, said = answer_to(port, theirs[0])
    if not 200 <= status < 300 or b"refused" in said.replace(b'"refused":0', b""):
        raise RuntimeError(f"the letter of {name} was answered {status}: {said[:300]!r}")
    check_accepted(port, native[0], many)
    for run in range(plan.runs):
        for requests, found in ((theirs, ours), (native, yard)):
            path = write_requests(folder / "requests", requests)
            found.append(load(port, path, max(1, plan.seconds // 2)).per_s * many)
        say(
            f"dialect {name}", f"run {run + 1}: {ours[-1]:,.0f} records/s, native {yard[-1]:,.0f}/s"
        )
    result = compared(f"dialect:{name}", "records/s", ours, yard, at_least=RATIO_MIN)
    return msgspec.structs.replace(result, details={**result.details, "records_a_request": many})


def _door(data: Path, known: Registered, name: str) -> str:
    words = ("door", "add", "--app", known.app, "--dialect", name, "--key", KEY)
    url: str = ask(data, *words)["door"]["url"]
    return "/in/" + url.partition("/in/")[2]


def _native(known: Registered, many: int) -> list[bytes]:
    """Events as a server tells them, so many to a request."""
    headers = {"Authorization": f"Bearer {known.server_key}", "User-Agent": agent(0)}
    events = [event(n) for n in range(LETTERS * many)]
    if many == 1:
        return [post("/v1/event", headers, msgspec.json.encode(one)) for one in events]
    return [
        post("/v1/batch", headers, msgspec.json.encode({"records": events[at : at + many]}))
        for at in range(0, len(events), many)
    ]


def _letters(dialect: Dialect, path: str) -> list[bytes]:
    now_ms = int(time.time() * 1000)
    return [_request(_filled(dialect, now_ms - n), path) for n in range(LETTERS)]


def _filled(dialect: Dialect, now_ms: int) -> Letter:
    """The sample, with as many records as its clients send."""
    letter = dialect.sample(KEY, now_ms)
    if dialect.name not in MANY:
        return letter
    name, many = MANY[dialect.name]
    body: dict[str, Any] = json.loads(letter.body)
    one = msgspec.json.encode(body[name][0]).decode()
    sample = f"sample-{now_ms}"
    body[name] = [msgspec.Raw(one.replace(sample, f"{sample}-{n}").encode()) for n in range(many)]
    return letter._replace(body=msgspec.json.encode(body))


def _request(letter: Letter, path: str) -> bytes:
    query = f"?{letter.query}" if letter.query else ""
    headers = {
        name: str(value)
        for name in ("authorization", "client-sdk", "user-agent")
        if (value := letter.headers.get(name)) is not None
    }
    made = post(path + letter.path + query, headers, letter.body)
    return made if letter.method == "POST" else made.replace(b"POST ", b"GET ", 1)
