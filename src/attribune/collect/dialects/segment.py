"""Segment: what its client libraries say, in our records. Pure.

Lifecycle events of mobile apps become opens; everything else becomes an event, since nothing of what is told may vanish.
Sources: Segment's public spec (HTTP tracking API, common fields, mobile lifecycle and ecommerce events) and its libraries'
behaviour on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from attribune.collect.address import plain_address
from attribune.collect.dialects.allowed import choices_in, consent_with
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, hold_to
from attribune.collect.dialects.loose import (
    ATT,
    PLATFORMS,
    amount,
    at_ms,
    basic,
    id_of,
    is_text,
    quick_key,
    word,
)
from attribune.collect.fields import Fields, checked_json, list_of, missing, wrong_type
from attribune.collect.records import Telling, corrected, platform, read_money, when
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Device, Event, Open, Platform, Referrer, ReferrerSource
from attribune.model.control import Door
from attribune.model.ids import DeviceId, RecordId, UserId, derived
from attribune.model.money import Money
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

#: Segment's own limits: bytes of an event and of a batch, events of a batch.
EVENT_BYTES_MAX: Final = 32 * 1024
BATCH_BYTES_MAX: Final = 500 * 1024
BATCH_EVENTS_MAX: Final = 2500
#: The type of a single event by the last part of its path.
TYPES: Final = {
    "t": "track",
    "i": "identify",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
} | {kind: kind for kind in ("track", "identify", "page", "screen", "group", "alias")}
#: Lifecycle events that say that the app was started.
OPENS: Final = frozenset(("Application Installed", "Application Opened"))
#: Events whose amounts take back, or say again, what another one booked.
NO_REVENUE: Final = frozenset(("Order Refunded", "Order Cancelled", "Order Updated"))
#: The only event whose ``total`` is revenue; elsewhere it is a cart's or a refund's.
TOTAL_IS_REVENUE: Final = "Order Completed"

#: Events of who somebody is, and not of what happened.
_OF_PEOPLE: Final = frozenset(("identify", "group"))
_BATCH_PATHS: Final = frozenset(("/v1/batch", "/v1/import", "/v1/b"))
_SINGLE: Final = re.compile(r"/v1/([a-z]+)/?\Z")
_SETTINGS: Final = re.compile(r"/v1/projects/([^/]{1,256})/settings/?\Z")


#: Segment's fields → ours, for the reference.
FIELDS: Final = {
    "type, event, name": "event name; lifecycle events are opens",
    "messageId": "id",
    "originalTimestamp, timestamp": "at",
    "sentAt": "sent_at",
    "userId": "user_id",
    "anonymousId": "device.id, where no context.device.id is said",
    "context.device.id": "device.id; on iOS also idfv",
    "context.device.advertisingId": "gaid; on iOS idfa",
    "context.device.model": "device.model",
    "context.device.trackingStatus, attTrackingStatus": "device.att_status, in words",
    "context.os.name, context.device.type": "device.platform",
    "context.os.version": "device.os_version",
    "context.locale": "device.locale",
    "context.timezone": "device.timezone",
    "context.app.version, context.app.build": "app.version, app.build",
    "context.library.name, context.library.version": "app.sdk",
    "context.consent.categoryPreferences": "a consent before the event: Analytics is measurement, Advertising and DataSharing are sharing; others by --map consent:CATEGORY=measurement or sharing",
    "context.ip, context.userAgent": "ip, user_agent, at a trusted door",
    "properties.revenue; properties.total of Order Completed": "revenue.amount",
    "properties.currency": "revenue.currency",
    "properties.order_id": "transaction_id",
    "properties, traits": "params",
    "properties.url of an open": "link_opened",
    "properties.install_referrer, properties.referrer, context.referrer.url": "referrers",
}


class Segment(Plain):
    """The dialect of Segment's libraries, and of those that speak its HTTP API."""

    name = "segment"
    speakers = "Segment's libraries, and those that speak its HTTP API"
    body_bytes_max = BATCH_BYTES_MAX
    root_paths: tuple[str, ...] = (
        "/v1/batch",
        "/v1/import",
        "/v1/track",
        "/v1/identify",
        "/v1/page",
        "/v1/screen",
        "/v1/group",
        "/v1/alias",
        "/v1/projects/",
    )
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:  # noqa: ARG002 - nothing is signed
        """Raises Refused when the write key is not the door's."""
        hold_to(self._key(letter, door), door, "writeKey")

    def _key(self, letter: Letter, door: Door) -> str | None:
        """The write key: user name of Basic auth, part of the settings path, or ``writeKey`` of the body."""
        asked = _SETTINGS.match(letter.path)
        if asked:
            return asked[1]
        if (said := basic(letter.authorization)) is not None:
            return said
        try:
            quick = quick_key(letter.body, b"writeKey", door)
            return quick or Fields.of(letter.body).text("writeKey", 256)
        except (Refused, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def plain_answer(self, letter: Letter, door: Door) -> Answer | None:  # noqa: ARG002 - the same at every door
        """The settings that browsers and phones ask for before they send anything."""
        asked = _SETTINGS.match(letter.path)
        if asked is None:
            return None
        return json_answer({"integrations": {"Segment.io": {"apiKey": asked[1]}}, "plan": {}})

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each event of a letter, each made when it is asked for. Raises Refused when the letter is no event and no batch."""
        if letter.method != "POST":
            raise Refused(RefusalReason.MALFORMED, "send events with POST", status=405)
        path = letter.path.rstrip("/")
        if path in _BATCH_PATHS:
            return _read_batch(letter.body, telling, door)
        found = _SINGLE.match(path)
        kind = TYPES.get(found[1]) if found else None
        if kind is None:
            raise Refused(
                RefusalReason.UNKNOWN_RECORD_TYPE, "this path takes no events", status=404
            )
        fields = Fields.of(letter.body)
        fields.raw("writeKey")
        return _judge(letter.body, telling, door, kind, "")

    def accept(self, heard: Heard) -> Answer:
        """200, as Segment answers: a client that is told of a fault sends the same again."""
        refused = [verdict for verdict in heard.verdicts if isinstance(verdict, Refused)]
        if not refused:
            return json_answer({"success": True})
        return json_answer(
            {"success": False, "refused": len(refused), "message": refused[0].message}
        )

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """400 for what cannot be read, as Segment answers; 200 for too many events, so that they are not sent again."""
        status = {
            RefusalReason.TOO_LARGE: 400,
            RefusalReason.TOO_MANY_RECORDS: 200,
            RefusalReason.BAD_ENCODING: 400,
        }.get(refused.reason, refused.status)
        return json_answer(
            {"success": False, "code": refused.code, "message": refused.message}, status
        )

    def sample(self, key: str, now_ms: int) -> Letter:
        """A batch of one event, as the library for Python sends it."""
        event = {
            "type": "track",
            "event": "Order Completed",
            "messageId": f"sample-{now_ms}",
            "anonymousId": "sample-device",
            "timestamp": now_ms,
            "properties": {"revenue": "9.99", "currency": "EUR", "order_id": f"sample-{now_ms}"},
        }
        body = msgspec.json.encode({"batch": [event], "writeKey": key, "sentAt": now_ms})
        return Letter("POST", "/v1/batch", body=body)


def _att(device: Fields) -> str | None:
    """What the person allowed, in words, where the libraries of one vendor say a word and of another Apple's number."""
    said = word(device, "trackingStatus") or word(device, "attTrackingStatus")
    return ATT.get(said, said) if said else None


def _read_batch(body: bytes, telling: Telling, door: Door) -> Iterable[Judged]:
    fields = Fields.of(body)
    batch = fields.raw("batch")
    if batch is None:
        raise missing("batch", "a list of events")
    if batch[:1] != b"[":
        raise wrong_type("batch", "a list", batch)
    sent_at = fields.raw("sentAt")
    if sent_at is not None:
        checked_json(sent_at, 0, "sentAt")
        telling = corrected(telling, at_ms(sent_at, "sentAt"), "sentAt")
    raws = list_of(batch)
    if len(raws) > BATCH_EVENTS_MAX:
        message = f"a batch may have at most {BATCH_EVENTS_MAX} events"
        raise Refused(RefusalReason.TOO_MANY_RECORDS, message, "batch")
    return (
        judged
        for index, raw in enumerate(raws)
        for judged in _judge(bytes(raw), telling, door, None, f"batch[{index}]")
    )


def _judge(
    raw: bytes, telling: Telling, door: Door, kind: str | None, path: str
) -> Iterable[Judged]:
    """The event, behind the consent that its context tells."""
    try:
        told, kind = _read_event(raw, telling, door, kind, path)
        choices = told.choices()
        kept = told.record(kind)
    except Refused as refused:
        return [Judged(refused.bare(), raw)]
    consent = consent_with(kept, choices)
    return [Judged(one, raw) for one in (consent, kept) if one is not None]


def _read_event(
    raw: bytes, telling: Telling, door: Door, kind: str | None, path: str
) -> tuple[_Told, str]:
    if len(raw) > EVENT_BYTES_MAX:
        message = f"an event may have at most {EVENT_BYTES_MAX} bytes"
        raise Refused(RefusalReason.TOO_LARGE, message, path or None)
    fields = Fields.checked(raw, telling.settings.json_depth_max, path)
    fields.raw("writeKey")
    said = fields.text("type", 64)
    kind = kind or said or ""
    if kind not in TYPES.values():
        at = fields.path("type")
        raise Refused(RefusalReason.UNKNOWN_RECORD_TYPE, f"{at} must be one of Segment's types", at)
    sent_at = fields.raw("sentAt")
    if sent_at is not None and telling.behind_ms is None:
        at = fields.path("sentAt")
        telling = corrected(telling, at_ms(sent_at, at), at)
    return _Told(fields, telling, door, raw), kind


class _Told:
    """One event while it is read."""

    def __init__(self, fields: Fields, telling: Telling, door: Door, raw: bytes) -> None:
        self._fields = fields
        self._telling = telling
        self._door = door
        self._raw = raw
        self._most = telling.settings.id_characters_max
        self._context = fields.fields("context") or Fields({}, fields.path("context"))
        self._extra: dict[str, str] = {}

    def choices(self) -> dict[str, bool]:
        """What the person allows, as far as the context says; it stays unread."""
        return choices_in(self._context, self._door)

    def record(self, kind: str) -> Kept:
        """The open or event that it is. Raises Refused."""
        fields, most = self._fields, self._most
        user = id_of(fields, "userId", most)
        anonymous = id_of(fields, "anonymousId", most)
        device = self._device(anonymous)
        if device is None and user is None:
            raise missing(fields.path("anonymousId"), "or userId, or context.device.id")
        name = self._name(kind)
        frame = self._frame(device, user)
        if anonymous is not None and (device is None or device.id != anonymous):
            self._extra["anonymousId"] = msgspec.json.encode(anonymous).decode()
        if name in OPENS and kind == "track" and device is not None:
            return self._open(frame, device, name)
        return self._event(frame, name, kind)

    def _name(self, kind: str) -> str:
        if kind != "track":
            return kind
        name = self._fields.text("event", self._most)
        if name is None:
            raise missing(self._fields.path("event"), "the event's name")
        return name

    def _frame(self, device: Device | None, user: str | None) -> dict[str, Any]:
        fields, telling, context = self._fields, self._telling, self._context
        at = when(self._happened_ms(), telling, fields.path("timestamp"))
        app = context.fields("app") or Fields({}, context.path("app"))
        library = context.fields("library") or Fields({}, context.path("library"))
        names = (word(library, "name"), word(library, "version"))
        frame = {
            "id": self._id(),
            "product": telling.speaker.product.id,
            "app": telling.speaker.app.id,
            "sender": telling.speaker.sender,
            "received_at_ms": telling.received_at_ms,
            "occurred_at_ms": at.occurred_at_ms,
            "given_at_ms": at.given_at_ms,
            "device": device,
            "user_id": UserId(user) if user else None,
            "app_version": word(app, "version"),
            "app_build": word(app, "build"),
            "sdk": "/".join(filter(None, names)) or None,
            "dialect": telling.dialect,
            **self._address(),
        }
        self._extra |= app.rest("context.app.") | library.rest("context.library.")
        return frame

    def _id(self) -> RecordId:
        said = id_of(self._fields, "messageId", self._most)
        # Without an id of its own an event is known by its content, so that a retry is the same record.
        return RecordId(said or derived("seg", self._door.id, self._raw.decode()))

    def _happened_ms(self) -> int | None:
        for name in ("originalTimestamp", "timestamp"):
            raw = self._fields.raw(name)
            if raw is not None:
                return at_ms(raw, self._fields.path(name))
        return None

    def _address(self) -> dict[str, str | None]:
        """Where it came from: as stated by a sender who is believed, else as the connection says."""
        telling, context = self._telling, self._context
        if not self._door.is_trusted:
            return {"ip": telling.ip, "user_agent": telling.user_agent}
        said = word(context, "ip")
        address = plain_address(said) if said and said != "0.0.0.0" else None  # noqa: S104 - a sender's way to say none
        if address is None and context.flag("direct"):
            address = telling.ip
        return {"ip": address, "user_agent": context.text("userAgent")}

    def _device(self, anonymous: str | None) -> Device | None:
        context = self._context
        said = context.fields("device") or Fields({}, context.path("device"))
        os = context.fields("os") or Fields({}, context.path("os"))
        own_id = id_of(said, "id", self._most)
        id_ = own_id or anonymous
        runs_on = self._platform(word(os, "name"), word(said, "type"))
        ids = {}
        advertising = id_of(said, "advertisingId", self._most)
        if advertising:
            ids["idfa" if runs_on is Platform.IOS else "gaid"] = advertising
        if own_id and runs_on is Platform.IOS:
            ids["idfv"] = own_id
        found = None
        if id_ is not None:
            found = Device(
                id=DeviceId(id_),
                platform=runs_on,
                os_version=word(os, "version"),
                model=word(said, "model"),
                ids=ids,
                att_status=_att(said),
                locale=word(context, "locale"),
                timezone=word(context, "timezone"),
            )
        self._extra |= said.rest("context.device.") | os.rest("context.os.")
        return found

    def _platform(self, os: str | None, device_type: str | None) -> Platform:
        for said in (os, device_type):
            found = PLATFORMS.get((said or "").lower())
            if found is not None:
                return found
        for name, said in (("context.os.name", os), ("context.device.type", device_type)):
            if said:
                self._extra[name] = msgspec.json.encode(said).decode()
        return platform(None, self._telling.speaker.app.platform)

    def _open(self, frame: dict[str, Any], device: Device, name: str) -> Kept:
        properties = self._properties("track")
        link = properties.text("url") if is_text(properties, "url") else None
        referrers = self._referrers(properties, device)
        extra = self._rest() | properties.rest("properties.")
        extra["event"] = msgspec.json.encode(name).decode()
        opened = Open(
            **{**frame, "device": device}, referrers=referrers, link_opened=link, extra=extra
        )
        return Kept(Topic.ACTIVITY, opened)

    def _referrers(self, properties: Fields, device: Device) -> tuple[Referrer, ...]:
        """The store's referrer, where a library or the app put one."""
        source = (
            ReferrerSource.PLAY if device.platform is Platform.ANDROID else ReferrerSource.OTHER
        )
        context = self._context.fields("referrer") or Fields({})
        found = []
        for holder, name in (
            (properties, "install_referrer"),
            (properties, "referrer"),
            (context, "url"),
            (context, "link"),
        ):
            if is_text(holder, name) and (value := holder.text(name, EVENT_BYTES_MAX)):
                found.append(Referrer(source=source, value=value))
        self._extra |= context.rest("context.referrer.")
        return tuple(found)

    def _event(self, frame: dict[str, Any], name: str, kind: str) -> Kept:
        properties = self._properties(kind)
        transaction = id_of(properties, "order_id", self._most)
        revenue = self._revenue(properties, name) if kind == "track" else None
        params = self._raw_properties
        event = Event(
            **frame,
            name=self._door.event(name),
            revenue=revenue,
            transaction_id=transaction,
            params=params,
            implies_open=self._door.implies_open,
            extra=self._rest(),
        )
        return Kept(Topic.ACTIVITY, event)

    def _properties(self, kind: str) -> Fields:
        """``properties`` of what happened, or ``traits`` of who it is, which some put into the context; an event has one of them."""
        name = "traits" if "traits" in self._fields.names() else "properties"
        found = self._fields.fields(name)
        if found is None and kind in _OF_PEOPLE:
            found = self._context.fields("traits")
        found = found or Fields({}, self._fields.path(name))
        self._raw_properties = found.rest()
        return found

    def _revenue(self, properties: Fields, name: str) -> Money | None:
        if name in NO_REVENUE:
            return None
        said = amount(properties, "revenue")
        if said is None and name == TOTAL_IS_REVENUE:
            said = amount(properties, "total")
        if said is None:
            return None
        currency = word(properties, "currency") or self._telling.speaker.product.currency
        return read_money(said, currency.upper(), properties.path("revenue"))

    def _rest(self) -> dict[str, str]:
        return self._extra | self._context.rest("context.") | self._fields.rest()
