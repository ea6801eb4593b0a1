"""Postbacker and bookkeeper killed again and again while an ill partner is told and owed: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
import uuid
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from fire.senders import Addresses, Server, addresses, is_ready
from fire.test_kills import children
from house import RunningHouse, wait_for
from postback.posthouse import Heard, Receiver, fine

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

KILLS = 10
#: Each so many kills are of the whole house.
TREE_EVERY = 4


class Bringer(Server):
    """A server that tells of a click, the install that it brought and a purchase, until each is accepted."""

    def one(self, name: str) -> None:
        body = json.dumps({"records": brought(name, self.at.link)})
        while not self._accepted(body):
            time.sleep(0.05)


def brought(name: str, link: str) -> list[dict[str, Any]]:
    device = {
        "id": f"d-{name}",
        "platform": "android",
        "gaid": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
    }
    return [
        {"type": "click", "id": f"c-{name}", "link": link, "device": device, "click_id": name},
        {"type": "open", "id": f"o-{name}", "device": device},
        {"type": "event", "id": f"e-{name}", "device": device, "name": "buy"},
    ]


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


def test_killed_again_and_again_everything_is_told_and_booked_once(tmp_path, receiver) -> None:
    chance = random.Random(11)
    receiver.answer = ill(chance)
    house = RunningHouse(tmp_path / "data", restart_wait_ms=50).start()
    try:
        at = addresses(house)
        tell(house, receiver)
        owe(house)
        senders = burn(house, at, chance)
        receiver.answer = fine
        wait_for(lambda: is_ready(house), 20)
        names = {f"{one.name}-{n}" for one in senders for n in range(one.count)}
        wait_for(lambda: standing(house) == {"delivered": 2 * len(names)}, 60, "not all was told")
        audit = house.cli("audit")
        assert audit["ok"], [check for check in audit["checks"] if not check["ok"]]
        heard = {(one.query["c"], one.query["t"]): one.query["id"] for one in receiver.heard}
        assert set(heard) == {(name, trigger) for name in names for trigger in ("install", "event")}
        rows = house.cli("postback", "log", "--limit", "1000")["rows"]
        assert {row["delivery_id"] for row in rows} <= set(heard.values())
        for what, id_ in heard.items():
            ids = {
                one.query["id"]
                for one in receiver.heard
                if (one.query["c"], one.query["t"]) == what
            }
            assert ids == {id_}, "one delivery, one id"
        assert not any("Traceback" in line for line in house.stderr_file.read_text().splitlines())
        # 3.00 for an install, 2.00 for a purchase, once each.
        wait_for(lambda: owed(house) == [500 * len(names)], 30, "the book is another")
        assert house.cli("book", "check")["ok"]
        told = len(receiver.heard)
        house.cli("rebuild", "outbox")
        wait_for(
            lambda: standing(house) == {"delivered": 2 * len(names)}, 30, "the outbox is another"
        )
        assert len(receiver.heard) == told, "a rebuild tells nobody"
    finally:
        house.stop()


def tell(house: RunningHouse, receiver: Receiver) -> None:
    house.cli(
        *("postback", "add", "--partner", "acme", "--template", "generic-get"),
        *("--trigger", "install", "--trigger", "event", "--allow-host", "127.0.0.1"),
        *("--set", f"url={receiver.url}?c={{partner_click_id}}&t={{trigger}}&id={{delivery_id}}"),
    )


def owe(house: RunningHouse) -> None:
    for event, amount in (("install", "3.00"), ("buy", "2.00")):
        offer = house.folder.parent / f"{event}.toml"
        offer.write_text(
            f'id = "{event}"\nevent = "{event}"\ncurrency = "EUR"\n\n[[deal]]\nkind = "cpa"\namount = "{amount}"\n'
        )
        house.cli("offer", "add", "--file", str(offer))


def owed(house: RunningHouse) -> list[int]:
    balances = house.cli("book", "balance", "--partner", "acme")["balances"]
    return [row["approved_minor"] for row in balances]


def ill(chance: random.Random) -> Any:
    """Now and then a partner is slow, fails, or breaks off."""

    async def answer(_: Heard) -> web.StreamResponse:
        throw = chance.random()
        if throw < 0.1:
            return web.Response(status=503)
        if throw < 0.15:
            await asyncio.sleep(0.2)
        return web.Response(text="ok")

    return answer


def burn(house: RunningHouse, at: Addresses, chance: random.Random) -> list[Bringer]:
    """Send all the while and kill; return who sent."""
    stop = threading.Event()
    port = int(at.host.rpartition(":")[2])
    senders = [Bringer(f"s{n}", at, stop) for n in range(2)]
    for sender in senders:
        sender.start()
    try:
        for n in range(1, KILLS + 1):
            time.sleep(chance.uniform(0.05, 0.7))
            if n % TREE_EVERY == 0:
                house.stop(signal.SIGKILL)
                house.start(port)
            else:
                kill(house, chance.choice(["postbacker", "web"]))
    finally:
        stop.set()
        for sender in senders:
            sender.join(30)
            assert not sender.is_alive(), f"{sender.name} was never answered"
    return senders


def kill(house: RunningHouse, role: str) -> None:
    """Kill the postbacker, or the web role, whose process keeps the book."""
    pid = next(one["pid"] for one in children(house.folder) if one["role"] == role)
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def standing(house: RunningHouse) -> dict[str, int]:
    """How many deliveries are in each state that any is in."""
    (row,) = house.cli("postback", "list")["postbacks"]
    return {state: count for state, count in row["deliveries"].items() if count}
