"""Those outside: people who see ads and use the app, servers that tell of it, and the operator.

Each has chance of its own, so that what goes wrong in the house does not change what they set out to tell.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from faults.network import Asking, Lost, Reply
from faults.town import AGENTS, APP_KEY, LINKS, PRODUCT, SERVER_KEY

from attribune.attribute.presets import PRESETS
from attribune.model.control import Change, Correct, Redelivery
from attribune.model.errors import AttribuneError, JournalUnavailable
from attribune.model.ids import ConversionId, TouchId, derived
from attribune.model.outcome import Attribution
from attribune.registry import links, policies
from attribune.registry.requests import AddLink, EditLink, SetPolicy

if TYPE_CHECKING:
    from faults.world import World

#: Longest wait before something is sent again, in seconds.
_AGAIN_S: Final = 0.4
_JSON: Final = ("content-type", "application/json")
#: Records that no door takes, each with the reason why; ``{}`` is filled with a mark of its own.
BAD: Final = (
    '{{"type": "open", "id": "{}"}}',
    '{{"type": "event", "id": "{}", "device": {{"id": "d", "platform": "android"}}}}',
    '{{"type": "nonsense", "id": "{}"}}',
    '{{"type": "event", "id": "{}", "name": "x", "device": {{"platform": "ios"}}}}',
    '{{"type": "event", "id": "{}", "name": "x", "device": {{"id": "d", "platform": "ios"}}, "revenue": {{"amount": "1.5", "currency": "XXQ"}}}}',
    '{{"type": "click", "id": "{}", "link": "nowhere"}}',
    '["{}"]',
)


class Sender:
    """Somebody outside with a story; sends everything again until it is answered."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.chance = random.Random(f"{world.seed}/{name}")
        self._records = 0

    async def pause(self, longest_s: float = 0.3) -> None:
        await asyncio.sleep(self.chance.random() * longest_s)

    async def until_answered(self, asking: Asking, client: str = "81.2.69.7:50000") -> Reply:
        """Send until an answer comes that says more than *later*."""
        while True:
            try:
                reply = await self.world.network.ask(asking, client)
            except Lost:
                reply = None
            if reply is not None and reply.status < 500:
                return reply
            await self.pause(_AGAIN_S)

    def record_id(self) -> str:
        self._records += 1
        return f"{self.name}-{self._records}"


class Person(Sender):
    """A device and the person who holds it: ads, opens, events, mishaps."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, f"p{number}")
        self.device = f"d{number}"
        self.ids = {"gaid": f"g{self.chance.randrange(world.script.people)}"}
        self.address = f"81.2.69.{self.chance.randrange(1, 4)}:50000"
        self.agent = self.chance.choice(AGENTS)
        self.touch: str | None = None
        #: Records that no answer has come for yet, as text, by id.
        self._unanswered: dict[str, str] = {}

    async def live(self) -> None:
        """The whole story."""
        acts: list[Callable[[], Awaitable[None]]] = [self._see_ad, self._say_open]
        weights = (4, 3, 5, 1, 1, 2, 1, 1, 1, 1)
        kinds = (
            self._see_ad,
            self._say_open,
            self._say_event,
            self._say_evidence,
            self._say_consent,
            self._say_nonsense,
            self._claim,
            self._tell_touch,
            self._ask,
            self._tell_by_order,
        )
        acts += self.chance.choices(kinds, weights, k=self.world.script.acts)
        if self.chance.random() < 0.3:
            self.chance.shuffle(acts)
        for act in acts:
            await act()
            if self.chance.random() < 0.5:
                await self._flush()
            await self.pause()
        while self._unanswered:
            await self._flush()

    # --- what a person does

    async def _see_ad(self) -> None:
        door = self.chance.choice(("c", "c", "i"))
        link = self.chance.choice(LINKS)
        query = f"gaid={self.ids['gaid']}&click_id={self.record_id()}"
        if self.chance.random() < 0.3:
            query += "&redirect=false"
        asking = Asking("GET", f"/{door}/{link}", query, (("user-agent", self.agent),))
        try:
            reply = await self.world.network.ask(asking, self.address)
        except Lost:
            return
        touch = _touch_in(reply)
        if touch is not None:
            self.touch = touch
            self.world.ledger.touches.add(touch)

    async def _say_open(self) -> None:
        said: dict[str, Any] = {"type": "open", "want_attribution": self.chance.random() < 0.3}
        if self.touch and self.chance.random() < 0.5:
            said["referrers"] = [{"source": "play", "value": f"attribune_click={self.touch}"}]
        if self.chance.random() < 0.1:
            self.device += "x"
        self._say(said)

    async def _say_event(self) -> None:
        said: dict[str, Any] = {"type": "event", "name": self.chance.choice(("level", "purchase"))}
        if said["name"] == "purchase":
            amount = f"{self.chance.randrange(1, 5000) / 100:.2f}"
            said["revenue"] = {"amount": amount, "currency": self.chance.choice(("EUR", "JPY"))}
            if said["revenue"]["currency"] == "JPY":
                said["revenue"]["amount"] = str(self.chance.randrange(1, 500))
            if self.chance.random() < 0.6:
                said["transaction_id"] = self._order()
        self._say(said)

    async def _say_evidence(self) -> None:
        value = f"attribune_click={self.touch}" if self.touch else "utm_source=x"
        self._say({"type": "evidence", "referrers": [{"source": "play", "value": value}]})

    async def _say_consent(self) -> None:
        self._say({"type": "consent", "measurement": self.chance.random() < 0.7})

    async def _say_nonsense(self) -> None:
        id_ = f"bad-{self.record_id()}"
        self._unanswered[id_] = self.chance.choice(BAD).format(id_)

    async def _ask(self) -> None:
        headers = (("authorization", f"Bearer {APP_KEY}"),)
        asking = Asking("GET", "/v1/attribution", f"device_id={self.device}", headers)
        reply = await self.until_answered(asking)
        assert reply.status in {200, 202}, reply

    # --- what servers tell of them

    async def _claim(self) -> None:
        await self._tell(
            "claim",
            {
                "device": self._device(),
                "partner": "zeta",
                "touch_at": self.world.clock.now_ms() - self.chance.randrange(86_400_000),
                "campaign": "claimed",
            },
        )

    async def _tell_touch(self) -> None:
        said = {"link": self.chance.choice(LINKS), "device": {"gaid": self.ids["gaid"]}}
        if self.chance.random() < 0.5:
            said["at"] = self.world.clock.now_ms()
        await self._tell(self.chance.choice(("click", "impression")), said)

    async def _tell_by_order(self) -> None:
        """What a shop's webhook tells, of an order that may have been placed, or may be later, or never."""
        name = self.chance.choice(("refund", "purchase", "shipped"))
        await self._tell("event", {"name": name, "transaction_id": self._order()})

    def _order(self) -> str:
        return f"t{self.chance.randrange(2 * self.world.script.people)}"

    async def _tell(self, kind: str, said: dict[str, Any]) -> None:
        id_ = self.record_id()
        body = json.dumps({"id": id_, **said}).encode()
        self.world.ledger.sent[id_] = kind
        headers = (("authorization", f"Bearer {SERVER_KEY}"), _JSON)
        reply = await self.until_answered(Asking("POST", f"/v1/{kind}", "", headers, body))
        if reply.status == 200:
            self.world.ledger.accept(id_)
            if touch := reply.json.get("touch_id"):
                self.world.ledger.touches.add(touch)

    # --- how it is sent

    def _device(self) -> dict[str, Any]:
        return {"id": self.device, "platform": "android", **self.ids}

    def _say(self, said: dict[str, Any]) -> None:
        id_ = self.record_id()
        said |= {"id": id_, "device": self._device(), "app": {"version": "1"}}
        if self.chance.random() < 0.5:
            said["at"] = self.world.clock.now_ms() - self.chance.randrange(3_600_000)
        self._unanswered[id_] = json.dumps(said)
        self.world.ledger.sent[id_] = said["type"]

    async def _flush(self) -> None:
        """Send what has not been answered, some of it, in any order; and now and then what was answered long ago."""
        ids = self.chance.sample(
            list(self._unanswered), self.chance.randint(0, len(self._unanswered))
        )
        if not ids:
            return
        texts = [self._unanswered[id_] for id_ in ids]
        if self.chance.random() < 0.1:
            texts.append(texts[0])
        body = f'{{"records": [{", ".join(texts)}]}}'.encode()
        headers = (("authorization", f"Bearer {APP_KEY}"), _JSON)
        try:
            reply = await self.world.network.ask(
                Asking("POST", "/v1/batch", "", headers, body), self.address
            )
        except Lost:
            await self.pause(_AGAIN_S)
            return
        if reply.status != 200:
            assert reply.status == 503, reply
            await self.pause(_AGAIN_S)
            return
        for id_, result in zip(ids, reply.json["results"], strict=False):
            is_accepted = result["status"] == "accepted"
            assert is_accepted or id_.startswith("bad-") or result["reason"], result
            if is_accepted:
                self.world.ledger.accept(id_)
            else:
                self.world.ledger.refused.add(id_)
            if not is_accepted or self.chance.random() < 0.9:
                self._unanswered.pop(id_, None)


class Operator(Sender):
    """Changes links and rules, and corrects conversions, through the house's API."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "operator")

    async def live(self) -> None:
        deeds = (
            self._edit_link,
            self._correct,
            self._set_policy,
            self._add_link,
            self._redeliver,
        )
        for _ in range(self.world.script.changes):
            await self.pause(0.4)
            [deed] = self.chance.choices(deeds, (5, 3, 1, 1, 1))
            await self._insist(deed())

    async def _insist(self, deed: Callable[[Any], None]) -> None:
        while True:
            try:
                self.world.web.change(deed)
            except (Lost, JournalUnavailable):
                await self.pause(_AGAIN_S)
            except AttribuneError as fault:
                raise AssertionError(f"the registry refused {deed}: {fault.message}") from fault
            else:
                return

    def _add_link(self) -> Callable[[Any], None]:
        want = AddLink(product=PRODUCT, partner="acme", campaign=self.record_id())
        return lambda house: house.change(
            lambda reg, _: links.add_link(reg, want, house.chance, house.base_url)
        )

    def _edit_link(self) -> Callable[[Any], None]:
        link = self.chance.choice(LINKS)
        want = EditLink(campaign=self.record_id(), is_disabled=self.chance.random() < 0.2)
        return lambda house: house.change(
            lambda reg, _: links.edit_link(reg, link, want, house.base_url)
        )

    def _set_policy(self) -> Callable[[Any], None]:
        want = SetPolicy(preset=self.chance.choice(sorted(PRESETS)))
        return lambda house: house.change(
            lambda reg, _: policies.set_policy(reg, PRODUCT, want, PRESETS)
        )

    def _correct(self) -> Callable[[Any], None]:
        """What is asked for and not known to stand is asked for again, as the API does."""
        conversions = list(self.world.attributions())
        if not conversions:
            return lambda _: None
        found: Attribution = self.chance.choice(conversions)
        touches = sorted(self.world.ledger.touches)
        to = (
            TouchId(self.chance.choice(touches)) if touches and self.chance.random() < 0.7 else None
        )
        record = Correct(
            conversion=ConversionId(found.conversion),
            product=found.product,
            to=to,
            reason="said so",
            by="operator",
            id=derived("fix", found.conversion, self.record_id()),
        )

        def deed(house: Any) -> None:
            with house.alone():
                if record.id not in self.world.asked_corrections(house.journal):
                    house.journal_changes([Change(at_ms=house.clock.now_ms(), record=record)])

        return deed

    def _redeliver(self) -> Callable[[Any], None]:
        took = list(self.world.partners.took)
        ids = tuple(self.chance.sample(took, min(2, len(took))))
        record = Redelivery(deliveries=ids, by="operator")

        def deed(house: Any) -> None:
            house.journal_changes([Change(at_ms=house.clock.now_ms(), record=record)])

        return deed


def _touch_in(reply: Reply) -> str | None:
    """The touch id that an answer of a link door carries."""
    if reply.headers.get("content-type") == "application/json":
        return reply.json.get("touch_id") if reply.status == 200 else None
    _, found, rest = unquote(unquote(reply.headers.get("location", ""))).partition(
        "attribune_click="
    )
    return rest[:36] if found else None
