"""The dialect doors: ``/in/{dialect}/{door}/…`` hears other people's client libraries in their own language.

Clients whose host is fixed, and who so can carry no path, come to the root; there the door is found by their key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from attribune.collect.asking import Waiting
from attribune.collect.dialects import DIALECTS, Dialect, Heard, Letter, told_of
from attribune.collect.dialects.landing import with_landings
from attribune.collect.dialects.letter import Told
from attribune.collect.keeping import keep_judged
from attribune.collect.makings import Makings
from attribune.collect.means import Means
from attribune.collect.origins import allowed, anybody, is_registered
from attribune.collect.records import Telling
from attribune.collect.refuse import About, Refused
from attribune.collect.request import Answer, Request
from attribune.collect.speaker import Speaker
from attribune.collect.turns import RECORD_COST_BYTES
from attribune.collect.verdict import Kept, Making, Verdict
from attribune.model.activity import Sender
from attribune.model.control import Door
from attribune.model.ids import DeviceId, DoorId
from attribune.model.refusal import RefusalReason

#: A dialect that may be meant, and its doors.
Speaking = tuple[Dialect, list[Door]]
#: Secrets of doors that are remembered in clear.
UNSEALED_MAX: Final = 1024
#: Where doors stand.
IN: Final = "/in/"


class Inlet:
    """Finds the door, holds the client to its key, and keeps what its dialect understood."""

    def __init__(self, means: Means, waiting: Waiting) -> None:
        """Take what is needed."""
        self._means = means
        self._waiting = waiting
        self._unsealed: dict[str, str] = {}
        self._makings = Makings(means.directory, means.settings.door_links_per_min_max)

    async def hear(self, request: Request) -> Answer:
        """One request behind ``/in/``. Raises Refused when no door is there; the dialect words every other answer."""
        name, _, rest = request.path.removeprefix(IN).partition("/")
        door_id, _, rest = rest.partition("/")
        dialect = DIALECTS.get(name)
        door = self._means.directory.door(DoorId(door_id)) if dialect else None
        if dialect is None or door is None or door.is_disabled or door.dialect != name:
            message = "no door is here; use the url that `attribune door add` gave"
            raise Refused(RefusalReason.UNKNOWN_DOOR, message, "door")
        return await self._hear(request, [(dialect, [door])], f"/{rest}")

    async def at_root(self, request: Request) -> Answer | None:
        """A request at the root of a client that can carry no path; None when no dialect with a door speaks there."""
        speaking = [
            (dialect, doors)
            for dialect in DIALECTS.values()
            if _speaks_at(request.path, dialect)
            and (doors := self._means.directory.doors_of(dialect.name))
        ]
        return await self._hear(request, speaking, request.path) if speaking else None

    def lets_read(self, path: str, origin: str) -> list[tuple[str, str]]:
        """The headers by which a page may read the answer of a door: a page of its app, or any when the app names none."""
        directory = self._means.directory
        if is_registered(directory, origin):
            return allowed(directory, origin)
        doors: Iterable[Door | None]
        if path.startswith(IN):
            doors = (
                directory.door(DoorId(path.removeprefix(IN).partition("/")[2].partition("/")[0])),
            )
        else:
            doors = (
                door
                for dialect in DIALECTS.values()
                if _speaks_at(path, dialect)
                for door in directory.doors_of(dialect.name)
            )
        apps = (directory.app(door.app) for door in doors if door)
        return anybody(origin) if any(app and not app.origins for app in apps) else []

    def put_off(self, path: str, unavailable: Answer) -> Answer:
        """The answer 503 as the clients of a path understand that they are to send again."""
        if path.startswith(IN):
            dialect = DIALECTS.get(path.removeprefix(IN).partition("/")[0])
        else:
            speaking = (one for one in DIALECTS.values() if _speaks_at(path, one))
            dialect = next(speaking, None)
        return unavailable if dialect is None else dialect.put_off(unavailable)

    async def _hear(self, request: Request, speaking: Sequence[Speaking], path: str) -> Answer:
        """Hear what a dialect's client says at the door whose key it carries; of several dialects the first answers for nobody's."""
        letter = Letter(request.method, path, request.query, request.headers)
        dialect = speaking[0][0]
        request.about = About(dialect=dialect.name)
        try:
            most = max(dialect.body_bytes_max for dialect, _ in speaking)
            letter = await self._whole(request, letter, most)
            dialect, door = self._door(letter, speaking)
            return await self._pass(request, letter, dialect, door)
        except Refused as refused:
            await self._means.keep_request(request, refused)
            return dialect.refuse(refused, letter)

    async def _whole(self, request: Request, letter: Letter, bytes_max: int) -> Letter:
        settings = self._means.settings
        most = min(bytes_max, settings.body_bytes_max)
        sent = await request.body(most, settings.body_wait_ms)
        return letter._replace(body=await request.unpacked(sent, most, sniff=True))

    def _door(self, letter: Letter, speaking: Sequence[Speaking]) -> tuple[Dialect, Door]:
        """The door whose key a letter carries, and its dialect. Raises Refused."""
        why: Refused | None = None
        for dialect, doors in speaking:
            for door in doors:
                try:
                    dialect.hold_to_key(letter, door, partial(self._secret, door))
                except Refused as refused:
                    why = why or refused.bare()
                else:
                    return dialect, door
        try:
            raise why or Refused(RefusalReason.UNKNOWN_DOOR, "no door is here", "door")
        finally:
            del why  # or it and this frame would hold each other

    def _secret(self, door: Door) -> str | None:
        """What a door has sealed, in clear; opened once."""
        sealed = door.sealed_secret
        if sealed is None:
            return None
        known = self._unsealed.get(sealed)
        if known is None:
            if len(self._unsealed) >= UNSEALED_MAX:
                self._unsealed.clear()
            known = self._unsealed[sealed] = self._means.ways.unseal(sealed)
        return known

    async def _pass(self, request: Request, letter: Letter, dialect: Dialect, door: Door) -> Answer:
        means = self._means
        speaker = self._speaker(door, request)
        answer = dialect.plain_answer(letter, door)
        if answer is not None:
            return answer
        telling = Telling(
            speaker=speaker,
            directory=means.directory,
            settings=means.settings,
            received_at_ms=request.received_at_ms,
            ip=request.ip,
            user_agent=request.user_agent,
            dialect=dialect.name,
        )
        asked = dialect.asks(letter, door)
        if asked is not None:
            told = self._stands(speaker, asked)
            return dialect.accept(
                Heard(
                    letter,
                    door,
                    (),
                    told,
                    means.ways.base_url,
                    means.clock.now_ms(),
                    means.directory,
                )
            )
        judged = []
        for each in with_landings(dialect.read(letter, telling, door)):
            judged.append(self._makings.judge(door, each, request.received_at_ms))
            await request.turn.spend(RECORD_COST_BYTES + len(each.raw))
        await keep_judged(means, request, [each for each in judged if self._makings.is_news(each)])
        self._makings.note(judged)
        verdicts = [verdict for verdict, _ in judged]
        wanting = next((v for v in verdicts if isinstance(v, Kept) and v.wants_attribution), None)
        told = await self._decided(speaker, wanting) if wanting else self._known(speaker, verdicts)
        return dialect.accept(
            Heard(
                letter,
                door,
                verdicts,
                told,
                means.ways.base_url,
                means.clock.now_ms(),
                means.directory,
            )
        )

    def _stands(self, speaker: Speaker, device: DeviceId) -> Told | None:
        found = self._waiting.stands((speaker.product.id, device))
        return None if found is None else told_of.decode(found)

    async def _decided(self, speaker: Speaker, wanting: Kept) -> Told | None:
        """What is decided about the device of a record, as soon as it is and within ``attribution_wait_ms``."""
        device = getattr(wanting.record, "device", None)
        if device is None:
            return None
        found = await self._waiting.decided((speaker.product.id, device.id))
        return None if found is None else told_of.decode(found)

    def _known(self, speaker: Speaker, verdicts: list[Verdict | Making]) -> Told | None:
        """What stands decided about the device of the first record whose answer says it."""
        for verdict in verdicts:
            if isinstance(verdict, Kept) and verdict.looks_up:
                device = getattr(verdict.record, "device", None)
                return self._stands(speaker, device.id) if device else None
        return None

    def _speaker(self, door: Door, request: Request) -> Speaker:
        """Who speaks through a door. Raises Refused when its app is gone or the address is none that it hears."""
        app = self._means.directory.app(door.app)
        product = self._means.directory.product(app.product) if app else None
        if app is None or product is None:
            raise Refused(RefusalReason.UNKNOWN_DOOR, "the app of this door is gone", "door")
        request.about = About(product=product.id, app=app.id, dialect=door.dialect)
        if door.allowed_networks and not _is_within(request.ip, door.allowed_networks):
            message = (
                "this address may not speak here; add it with `attribune door add --allow-network`"
            )
            raise Refused(RefusalReason.FORBIDDEN_FOR_KEY, message, "address")
        sender = Sender.SERVER if door.is_trusted else Sender.APP
        return Speaker(sender=sender, app=app, product=product)


def _speaks_at(path: str, dialect: Dialect) -> bool:
    """Whether clients of a dialect come to a path of the root: one of its paths, or one below."""
    return any(f"{path}/".startswith(f"{root.rstrip('/')}/") for root in dialect.root_paths)


def _is_within(ip: str | None, networks: tuple[str, ...]) -> bool:
    if ip is None:
        return False
    address = ipaddress.ip_address(ip)
    return any(address in ipaddress.ip_network(network) for network in networks)
