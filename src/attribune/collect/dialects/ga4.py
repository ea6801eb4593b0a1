"""Google Analytics 4's Measurement Protocol, in our records. Pure.

Source: Google's public reference of the protocol: parameters, limits, and the answers of its validation server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from attribune.collect.dialects import loose
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, hold_to
from attribune.collect.fields import Fields, missing
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Consent, Device, Event, Open, Platform
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

#: Google's own limits.
BODY_BYTES_MAX: Final = 130_000
EVENTS_MAX: Final = 25
OPENS: Final = frozenset(("first_open", "session_start", "first_visit"))
#: Events whose ``value`` is revenue; elsewhere it is a cart's or a view's.
REVENUE: Final = frozenset(
    (
        "purchase",
        "in_app_purchase",
        "ecommerce_purchase",
        "ad_impression",
        "app_store_subscription_convert",
        "app_store_subscription_renew",
        "refund",
    )
)
FIELDS: Final = {
    "app_instance_id; client_id": "device.id",
    "user_id": "user_id",
    "timestamp_micros": "at",
    "events[].name": "event name; first_open, session_start and first_visit are opens",
    "events[].params.value, of purchases and refunds": "revenue.amount",
    "events[].params.currency": "revenue.currency",
    "events[].params.transaction_id": "transaction_id",
    "events[].params.page_location of an open": "link_opened",
    "events[].params": "params",
    "consent.ad_user_data, consent.ad_personalization": "sharing: true when both are GRANTED, false when one is DENIED",
    "non_personalized_ads": "sharing: false, where true and the letter has no consent",
    "device.operating_system, operating_system_version, model, language": "device.platform, os_version, model, locale",
    "ip_override, user_agent": "ip, user_agent, at a trusted door",
}

_PATHS: Final = frozenset(("/mp/collect", "/debug/mp/collect"))
_DEBUG: Final = "/debug/"
#: The validation server's words for why something is wrong.
_CODES: Final = {
    RefusalReason.MISSING_FIELD: "VALUE_REQUIRED",
    RefusalReason.TOO_MANY_RECORDS: "EXCEEDED_MAX_ENTITIES",
}


class Ga4(Plain):
    """The dialect of servers that speak the Measurement Protocol."""

    name = "ga4"
    speakers = "Servers that speak Google Analytics 4's Measurement Protocol"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = ("/mp/collect", "/debug/mp/collect")
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:  # noqa: ARG002 - nothing is signed
        """Raises Refused when ``api_secret`` is not the door's key."""
        hold_to(loose.pairs(letter.query).get("api_secret"), door, "api_secret")

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each event, and for the consent that stands beside them. Raises Refused."""
        if letter.path.rstrip("/") not in _PATHS or letter.method != "POST":
            raise Refused(
                RefusalReason.UNKNOWN_RECORD_TYPE,
                "send events with POST to /mp/collect",
                status=404,
            )
        fields = Fields.checked(letter.body, telling.settings.json_depth_max)
        events = fields.raw("events")
        if events is None:
            raise missing("events", "a list of events")
        if events[:1] == b"{":
            events = b"[%s]" % events  # as some libraries send a single one
        raws = loose.records_of(events, "events", EVENTS_MAX)
        told = _Told(fields, telling, door, letter)
        if letter.path.startswith(_DEBUG):
            # The validation server says what is wrong, and keeps nothing.
            for verdict, _ in loose.each(raws, "events", told.event):
                if isinstance(verdict, Refused):
                    raise verdict
            return []
        return _all(told, raws)

    def accept(self, heard: Heard) -> Answer:
        """204 without a body, as Google answers, whatever was refused; no message from the validation server."""
        if heard.letter.path.startswith(_DEBUG):
            return json_answer({"validationMessages": []})
        return Answer(status=204)

    def refuse(self, refused: Refused, letter: Letter) -> Answer:
        """A message of the validation server; elsewhere the status says it."""
        message = {
            "fieldPath": refused.param or "",
            "description": refused.message,
            "validationCode": _CODES.get(refused.reason, "VALUE_INVALID"),
        }
        is_checked = refused.status == 400 or refused.reason is RefusalReason.TOO_MANY_RECORDS
        status = 200 if is_checked and letter.path.startswith(_DEBUG) else refused.status
        return json_answer({"validationMessages": [message]}, status)

    def sample(self, key: str, now_ms: int) -> Letter:
        """A purchase, as the protocol's reference shows one."""
        params = {"currency": "EUR", "value": 9.99, "transaction_id": f"sample-{now_ms}"}
        said = {
            "app_instance_id": "0123456789abcdef0123456789abcdef",
            "timestamp_micros": now_ms * 1000,
            "events": [{"name": "purchase", "params": params}],
        }
        query = f"firebase_app_id=1:2:android:3&api_secret={key}"
        return Letter("POST", "/mp/collect", query, body=msgspec.json.encode(said))


def _all(told: _Told, raws: list[msgspec.Raw]) -> Iterator[Judged]:
    consent = told.consent()
    if consent is not None:
        yield consent
    yield from loose.each(raws, "events", told.event)


class _Told:
    """What a letter says of all of its events."""

    def __init__(self, fields: Fields, telling: Telling, door: Door, letter: Letter) -> None:
        most = telling.settings.id_characters_max
        self._telling, self._door = telling, door
        instance = loose.id_of(fields, "app_instance_id", most)
        client = loose.id_of(fields, "client_id", most)
        id_ = instance or client
        self._user = loose.id_of(fields, "user_id", most)
        self._at_ms = loose.moment(fields, "timestamp_micros", 1_000_000)
        said = fields.fields("device") or Fields({}, "device")
        self._extra: dict[str, str] = {}
        self._device = _device(id_, said, telling, self._extra, is_page=instance is None)
        consent = fields.raw("consent")
        self._consent = Fields.of(consent, "consent") if consent else None
        # The word of before there was a consent; false is its default, and nobody's word.
        self._is_impersonal = fields.raw("non_personalized_ads") == b"true"
        self._stated = (loose.word(fields, "ip_override"), loose.word(fields, "user_agent"))
        self._extra |= said.rest("device.") | fields.rest()
        self._seed = (door.id, letter.query, id_ or "", self._user or "")
        if self._device is None and self._user is None:
            raise missing("client_id", "or app_instance_id, or user_id")

    def consent(self) -> Judged | None:
        """What the person lets be shared, when the letter says it and of a device."""
        said = self._consent or Fields({})
        words = [loose.word(said, name) for name in ("ad_user_data", "ad_personalization")]
        shares = [word.upper() == "GRANTED" for word in words if word]
        if not shares and self._is_impersonal:
            words, shares = ["non_personalized_ads"], [False]
        if not shares or self._device is None:
            return None
        raw = msgspec.json.encode(words)
        try:
            said_by = "|".join((*self._seed, raw.decode()))
            record = loose.known_by("ga4c", self._door, said_by, self._at_ms, self._telling)
            frame = self._frame(record, self._at_ms)
        except Refused as refused:
            return Judged(refused.bare(), raw)
        consent = Consent(**frame, sharing=all(shares), extra=said.rest("consent."))
        return Judged(Kept(Topic.ACTIVITY, consent), raw)

    def event(self, raw: bytes, path: str) -> Kept:
        """One event as the open or event that it is. Raises Refused."""
        most = self._telling.settings.id_characters_max
        fields = Fields.checked(raw, self._telling.settings.json_depth_max, path)
        name = fields.text("name", most)
        if name is None:
            raise missing(fields.path("name"), "the event's name")
        at_ms = loose.moment(fields, "timestamp_micros", 1_000_000) or self._at_ms
        params = fields.fields("params") or Fields({}, fields.path("params"))
        # The protocol has no id of a message: the same words at the same place of the same letter are the same event.
        said = "|".join((*self._seed, path, raw.decode()))
        frame = self._frame(loose.known_by("ga4", self._door, said, at_ms, self._telling), at_ms)
        if name in OPENS and self._device is not None:
            link = loose.word(params, "page_location")
            extra = self._extra | {"event": loose.json_of(name)} | params.rest("params.")
            return Kept(
                Topic.ACTIVITY, Open(**frame, link_opened=link, extra=extra | fields.rest())
            )
        money = (
            loose.revenue(params, ("value",), ("currency",), self._telling)
            if name in REVENUE
            else None
        )
        event = Event(
            **frame,
            name=self._door.event(name),
            revenue=money,
            transaction_id=loose.id_of(params, "transaction_id", most),
            params=params.rest(),
            implies_open=self._door.implies_open,
            extra=self._extra | fields.rest(),
        )
        return Kept(Topic.ACTIVITY, event)

    def _frame(self, record: str, at_ms: int | None) -> dict[str, Any]:
        return loose.frame(
            self._telling,
            record=record,
            at=at_ms,
            path="timestamp_micros",
            device=self._device,
            user=self._user,
            stated=self._stated,
            is_trusted=self._door.is_trusted,
        )


def _device(
    id_: str | None, said: Fields, telling: Telling, extra: dict[str, str], *, is_page: bool
) -> Device | None:
    if id_ is None:
        return None
    os = loose.word(said, "operating_system")
    if is_page and os is not None and telling.speaker.app.platform is Platform.WEB:
        extra["device.operating_system"], os = loose.json_of(os), None
    return Device(
        id=DeviceId(id_),
        platform=loose.runs_on(telling, extra, {"device.operating_system": os}),
        os_version=loose.word(said, "operating_system_version"),
        model=loose.word(said, "model"),
        locale=loose.word(said, "language"),
    )
