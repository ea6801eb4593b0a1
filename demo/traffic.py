"""A week of a small game's traffic, told in the words of the trade. Everything goes through the front door."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from house import DemoFailed, House

ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/26.1 Mobile/15E148 Safari/604.1"
#: Addresses of an ordinary access provider, as a server that forwards its visitors' would send them.
ADDRESSES = [f"81.2.69.{last}" for last in range(20, 220)]

Step = Callable[[], None]


@dataclass
class Registered:
    """What the demo has registered."""

    android_key: str
    ios_key: str
    server_key: str
    #: Link ids by what they are for.
    links: dict[str, str] = field(default_factory=dict)


@dataclass
class Counted:
    """What was sent and what came back."""

    requests: int = 0
    refused: list[str] = field(default_factory=list)
    #: The device whose story is told at the end.
    hero: str = ""


class Traffic:
    """The traffic as a list of steps, the same for the same seed."""

    def __init__(self, house: House, registered: Registered, seed: int = 7) -> None:
        """Plan nothing yet; ``steps`` does."""
        self.house, self.registered = house, registered
        self.chance = random.Random(seed)
        self.now = datetime.now(UTC)
        self.counted = Counted()
        self.people = 0

    def steps(self) -> list[Step]:
        """The whole story, in order."""
        story: list[Step] = [
            *(lambda: self.play_install("acme") for _ in range(14)),
            *(lambda: self.play_install("zeta") for _ in range(9)),
            *(lambda: self.ios_install("acme") for _ in range(6)),
            *(self.impression_then_install for _ in range(5)),
            *(self.guessed_install for _ in range(5)),
            *(self.organic_install for _ in range(16)),
            *(self.idle_click for _ in range(60)),
            *(self.idle_impression for _ in range(40)),
        ]
        self.chance.shuffle(story)
        return [
            self.hero,
            *story,
            self.refund,
            self.reinstall,
            self.return_by_retargeting,
            self.duplicate,
            self.bad_record,
        ]

    # --- the chapters

    def hero(self) -> None:
        """An impression of one partner, a click of another, the install and a purchase: the story that is explained."""
        person = self._person("android")
        self.counted.hero = person["id"]
        self._see("zeta", person)
        self._click("owned", person)
        touch = self._click("acme", person)
        self._open(person, referrer=touch)
        self._event(person, "tutorial_done")
        self._event(person, "purchase", "9.99", transaction="T-1000")
        self._hero = person

    def refund(self) -> None:
        """The purchase of that install is paid back."""
        self._event(self._hero, "refund", transaction="T-1000")

    def play_install(self, partner: str) -> None:
        """A click, Google Play, and the referrer that comes back with the first open."""
        person = self._person("android")
        self._open(person, referrer=self._click(partner, person, with_ids=False))
        self._use(person)

    def ios_install(self, partner: str) -> None:
        """A click that carries the advertising id of an iPhone whose owner allowed it."""
        person = self._person("ios")
        self._click(partner, person)
        self._open(person)
        self._use(person)

    def impression_then_install(self) -> None:
        """An impression that carries the advertising id, and no click."""
        person = self._person("android")
        self._see("beta", person)
        self._open(person)
        self._use(person)

    def guessed_install(self) -> None:
        """A click without any id, told by a server with the visitor's address; the app opens from there."""
        person = self._person("android", with_ids=False)
        address = self.chance.choice(ADDRESSES)
        ADDRESSES.remove(address)
        click = {
            "id": f"click-{self.people}",
            "link": self.registered.links["beta"],
            "at": _time(self.now - timedelta(minutes=40)),
            "ip": address,
            "user_agent": ANDROID,
        }
        self._must(self.house.post("/v1/click", self.registered.server_key, click))
        self._open(person, address=address)

    def organic_install(self) -> None:
        """Nobody brought this person."""
        person = self._person(self.chance.choice(["android", "android", "ios"]))
        self._open(person)
        self._use(person)

    def idle_click(self) -> None:
        """A click that leads nowhere."""
        self._click(self.chance.choice(["acme", "zeta", "beta", "owned"]), self._person("android"))

    def idle_impression(self) -> None:
        """An impression that leads nowhere."""
        self._see(self.chance.choice(["acme", "zeta", "beta"]), self._person("android"))

    def reinstall(self) -> None:
        """A person who had the app three weeks ago installs it again: no new install."""
        person = self._person("android")
        self._open(person, at=self.now - timedelta(days=21))
        self._open({**person, "id": f"{person['id']}-again"})

    def return_by_retargeting(self) -> None:
        """A person silent for ten days comes back through a retargeting click, and buys."""
        person = self._person("android")
        self._open(person, at=self.now - timedelta(days=10))
        self._click("back", person)
        self._open(person)
        self._event(person, "purchase", "24.90")

    def duplicate(self) -> None:
        """The same purchase sent twice with the same id: counts once."""
        person = self._person("android")
        self._open(person)
        for _ in range(2):
            self._event(person, "purchase", "4.99", record="purchase-sent-twice")

    def bad_record(self) -> None:
        """A revenue with a comma: refused with a sentence, and kept."""
        person = self._person("android")
        record = {
            "type": "event",
            "id": f"bad-{self.people}",
            "at": _time(self.now),
            "device": _device(person),
            "name": "purchase",
            "revenue": {"amount": "12,50", "currency": "EUR"},
        }
        status, answer = self.house.post("/v1/batch", self._key(person), {"records": [record]})
        self.counted.requests += 1
        result = answer["results"][0]
        if status != 200 or result["status"] != "refused":
            raise DemoFailed(f"a bad record was not refused: {status} {answer}")
        self.counted.refused.append(result["message"])

    # --- single messages

    def _person(self, platform: str, *, with_ids: bool = True) -> dict[str, Any]:
        self.people += 1
        name = str(UUID(int=self.chance.getrandbits(128), version=4))
        kind = "gaid" if platform == "android" else "idfa"
        ids = {kind: str(UUID(int=self.chance.getrandbits(128), version=4))} if with_ids else {}
        return {"id": name, "platform": platform, "ids": ids}

    def _click(self, partner: str, person: dict[str, Any], *, with_ids: bool = True) -> str:
        """Follow a link as the person's browser would; gives the Play referrer that the store would hand on."""
        query = {
            "click_id": f"{partner}-{self.people}",
            "site_id": f"site-{self.chance.randint(1, 4)}",
        }
        query |= person["ids"] if with_ids else {}
        agent = ANDROID if person["platform"] == "android" else IPHONE
        link = self.registered.links[partner]
        status, headers, _ = self.house.get(
            f"/c/{link}", query, {"User-Agent": agent, "Accept-Language": "de-DE"}
        )
        self.counted.requests += 1
        if status != 302:
            raise DemoFailed(f"a click was answered {status}, not 302")
        found = re.search(r"[?&]referrer=([^&]+)", headers["location"])
        return unquote(found[1]) if found else ""

    def _see(self, partner: str, person: dict[str, Any]) -> None:
        link = self.registered.links[partner]
        status, _, _ = self.house.get(f"/i/{link}", person["ids"], {"User-Agent": ANDROID})
        self.counted.requests += 1
        if status != 200:
            raise DemoFailed(f"an impression was answered {status}, not 200")

    def _open(
        self,
        person: dict[str, Any],
        *,
        referrer: str = "",
        at: datetime | None = None,
        address: str = "",
    ) -> None:
        self.people += 1
        record: dict[str, Any] = {
            "id": f"open-{self.people}-{person['id'][:8]}",
            "at": _time(at or datetime.now(UTC)),
            "device": _device(person),
            "app": {"version": "3.1.0", "sdk": "native/1.0"},
        }
        if referrer:
            record["referrers"] = [{"source": "play", "value": referrer}]
        if address:
            record["ip"] = address
        key = self.registered.server_key if address else self._key(person)
        self._must(self.house.post("/v1/open", key, record))

    def _event(
        self,
        person: dict[str, Any],
        name: str,
        amount: str = "",
        *,
        transaction: str = "",
        record: str = "",
    ) -> None:
        self.people += 1
        body: dict[str, Any] = {
            "type": "event",
            "id": record or f"event-{self.people}-{person['id'][:8]}",
            "at": _time(datetime.now(UTC)),
            "device": _device(person),
            "name": name,
        }
        if amount:
            body["revenue"] = {"amount": amount, "currency": "EUR"}
        if transaction:
            body["transaction_id"] = transaction
        self._must(self.house.post("/v1/batch", self._key(person), {"records": [body]}))

    def _use(self, person: dict[str, Any]) -> None:
        """Some play on, some pay."""
        if self.chance.random() < 0.6:
            self._event(person, "tutorial_done")
        if self.chance.random() < 0.3:
            self._event(person, "purchase", self.chance.choice(["1.99", "4.99", "9.99"]))

    def _key(self, person: dict[str, Any]) -> str:
        return (
            self.registered.android_key
            if person["platform"] == "android"
            else self.registered.ios_key
        )

    def _must(self, answered: tuple[int, Any]) -> None:
        status, answer = answered
        self.counted.requests += 1
        refused = [r for r in answer.get("results", []) if r.get("status") == "refused"]
        if status != 200 or refused:
            raise DemoFailed(f"a record was not accepted: {status} {answer}")


def _device(person: dict[str, Any]) -> dict[str, Any]:
    version = "15" if person["platform"] == "android" else "26.1"
    return {
        "id": person["id"],
        "platform": person["platform"],
        "os_version": version,
        "locale": "de-DE",
        **person["ids"],
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
