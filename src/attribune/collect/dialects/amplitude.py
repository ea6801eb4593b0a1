"""Amplitude: what its libraries and its HTTP API say, in our records. Pure.

Source: Amplitude's public HTTP V2 and batch API, and its libraries' behaviour on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, DecimalException
from typing import Any, Final, NoReturn

import msgspec

from attribune.collect.dialects import loose
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, hold_to
from attribune.collect.fields import Fields, missing
from attribune.collect.records import Telling, read_money
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Device, Event, Open, Platform
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.money import Money
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

BODY_BYTES_MAX: Final = 1 << 20
EVENTS_MAX: Final = 2000
OPENS: Final = frozenset(
    ("[Amplitude] Application Installed", "[Amplitude] Application Opened", "session_start")
)
TRANSACTION: Final = ("transaction_id", "order_id", "$transaction_id")
FIELDS: Final = {
    "event_type": "event name; [Amplitude] Application Installed and Opened, and session_start, of a device are opens",
    "insert_id": "id",
    "time": "at",
    "device_id": "device.id",
    "user_id": "user_id",
    "platform": "device.platform",
    "os_version": "device.os_version",
    "device_model": "device.model",
    "language": "device.locale",
    "adid; idfa; idfv; android_id; android_app_set_id": "gaid; idfa; idfv; android_id; app_set_id",
    "app_version, version_name": "app.version",
    "library": "app.sdk",
    "ip": "ip, at a trusted door",
    "options.min_id_length": "the fewest characters of user_id and device_id in this letter; none is too short without it",
    "revenue; price times quantity": "revenue.amount",
    "currency": "revenue.currency",
    "event_properties.transaction_id, order_id": "transaction_id",
    "event_properties": "params",
}

_PATHS: Final = frozenset(("/2/httpapi", "/batch", "/httpapi", ""))
_IDS: Final = {
    "adid": "gaid",
    "idfa": "idfa",
    "idfv": "idfv",
    "android_id": "android_id",
    "android_app_set_id": "app_set_id",
}
_REMOTE: Final = "$remote"
#: How an error begins by which the libraries know that no retry will help.
_WRONG_KEY: Final = "Invalid API key:"
#: Tells an id that is shorter than its sender allows from ids that are wrong otherwise.
_SHORT_ID: Final = "short_id"
#: A smallest length has fewer digits.
_DIGITS_MAX: Final = 9


class Amplitude(Plain):
    """The dialect of Amplitude's libraries."""

    name = "amplitude"
    speakers = "Amplitude's libraries, and those that speak its HTTP API"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = ("/2/httpapi", "/batch", "/httpapi")
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:  # noqa: ARG002 - nothing is signed
        """Raises Refused when ``api_key`` is not the door's key."""
        try:
            key = loose.quick_key(letter.body, b"api_key", door)
            key = key or loose.word(Fields.of(letter.body), "api_key")
        except (Refused, msgspec.MsgspecError, UnicodeDecodeError):
            key = None
        hold_to(key, door, "api_key")

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each event. Raises Refused."""
        if letter.path.rstrip("/") not in _PATHS:
            raise Refused(
                RefusalReason.UNKNOWN_RECORD_TYPE, "send events to /2/httpapi or /batch", status=404
            )
        fields = Fields.of(letter.body)
        events = fields.raw("events")
        if events is None:
            raise missing("events", "a list of events")
        least = _id_characters_min(fields)
        raws = loose.records_of(events, "events", EVENTS_MAX)
        return loose.each(raws, "events", lambda raw, path: _event(raw, path, telling, door, least))

    def accept(self, heard: Heard) -> Answer:
        """How many events were taken; 400 with the places of those that were not, as its clients expect to drop them."""
        refused = {index: one for index, one in enumerate(heard.own) if isinstance(one, Refused)}
        if refused:
            return json_answer(_invalid(refused), 400)
        return json_answer(
            {
                "code": 200,
                "events_ingested": len(heard.own),
                "payload_size_bytes": len(heard.letter.body),
                "server_upload_time": heard.now_ms,
            }
        )

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """The shape of Amplitude's errors."""
        # A wrong key is a bad request to its clients, which then give up instead of trying for ever.
        status = 400 if refused.status == 401 else refused.status
        said: dict[str, Any] = {"code": status, "error": refused.message}
        if refused.reason is RefusalReason.UNKNOWN_KEY:
            said["error"] = f"{_WRONG_KEY} {refused.message}"
        if refused.reason is RefusalReason.MISSING_FIELD:
            said["missing_field"] = refused.param
        return json_answer(said, status)

    def sample(self, key: str, now_ms: int) -> Letter:
        """A batch of one event, as the library for Python sends it."""
        event = {
            "event_type": "purchase",
            "insert_id": f"sample-{now_ms}",
            "device_id": "sample-device",
            "user_id": "sample-user",
            "time": now_ms,
            "revenue": 9.99,
            "currency": "EUR",
        }
        body = msgspec.json.encode({"api_key": key, "events": [event]})
        return Letter("POST", "/2/httpapi", body=body)


def _invalid(refused: dict[int, Refused]) -> dict[str, Any]:
    by_field: dict[str, list[int]] = {}
    by_id: dict[str, list[int]] = {}
    for index, one in refused.items():
        field = (one.param or "event").rpartition("].")[2]
        found = by_id if one.code == _SHORT_ID else by_field
        found.setdefault(field, []).append(index)
    first = next(iter(refused.values()))
    said: dict[str, Any] = {
        "code": 400,
        "error": first.message,
        "events_with_invalid_fields": by_field,
        "events_with_missing_fields": {},
    }
    return said | {"events_with_invalid_id_lengths": by_id} if by_id else said


def _id_characters_min(fields: Fields) -> int:
    """The fewest characters that a letter lets an id of a device or a user have; 0 when it says nothing. Raises Refused."""
    options = fields.fields("options")
    if options is None or options.peek("min_id_length") is None:
        return 0
    path = options.path("min_id_length")
    raw = options.raw("min_id_length") or b"0"
    # A number in quotes is one too, as everywhere in this dialect.
    digits = raw.strip(b'"')
    if not digits.isdigit() or len(digits) > _DIGITS_MAX:
        message = f"{path} must be a whole number of characters"
        raise Refused(RefusalReason.WRONG_TYPE, message, path)
    return int(digits)


def _event(raw: bytes, path: str, telling: Telling, door: Door, least: int) -> Kept:
    """One event as the open or event that it is; its ids have ``least`` characters. Raises Refused."""
    most = telling.settings.id_characters_max
    fields = Fields.checked(raw, telling.settings.json_depth_max, path)
    name = fields.text("event_type", most)
    if name is None:
        raise missing(fields.path("event_type"), "the event's name")
    extra: dict[str, str] = {}
    at = loose.moment(fields, "time", 1000)
    id_ = loose.id_of(fields, "insert_id", most)
    id_ = id_ or loose.known_by("amp", door, raw.decode(), at, telling)
    device = _device(fields, telling, extra)
    user = loose.id_of(fields, "user_id", most)
    for field, said in (("user_id", user), ("device_id", device.id if device else None)):
        if said and len(said) < least:
            _refuse_short(fields.path(field), least)
    if device is None and user is None:
        raise missing(fields.path("device_id"), "or user_id")
    ip = loose.word(fields, "ip")
    frame = loose.frame(
        telling,
        record=id_,
        at=at,
        path=fields.path("time"),
        device=device,
        user=user,
        stated=(telling.ip if ip == _REMOTE else ip, loose.word(fields, "user_agent")),
        is_trusted=door.is_trusted,
        app_version=loose.word(fields, "app_version") or loose.word(fields, "version_name"),
        sdk=loose.word(fields, "library"),
    )
    properties = fields.fields("event_properties") or Fields({}, fields.path("event_properties"))
    if name in OPENS and device is not None:
        extra |= {"event": loose.json_of(name)} | properties.rest("event_properties.")
        return Kept(Topic.ACTIVITY, Open(**frame, extra=extra | fields.rest()))
    event = Event(
        **frame,
        name=door.event(name),
        revenue=_revenue(fields, properties, telling),
        transaction_id=loose.first_id(properties, TRANSACTION, most),
        params=properties.rest(),
        implies_open=door.implies_open,
        extra=extra | fields.rest(),
    )
    return Kept(Topic.ACTIVITY, event)


def _refuse_short(path: str, least: int) -> NoReturn:
    message = f"{path} has fewer than the {least} characters that options.min_id_length asks for"
    raise Refused(RefusalReason.BAD_ID, message, path, code=_SHORT_ID)


def _device(fields: Fields, telling: Telling, extra: dict[str, str]) -> Device | None:
    most = telling.settings.id_characters_max
    id_ = loose.id_of(fields, "device_id", most)
    if id_ is None:
        return None
    ids = {ours: said for theirs, ours in _IDS.items() if (said := loose.id_of(fields, theirs, most))}  # fmt: skip
    platform = loose.runs_on(telling, extra, {"platform": loose.word(fields, "platform")})
    os = loose.word(fields, "os_name")
    if os is not None:
        extra["os_name"] = loose.json_of(os)
        if platform is Platform.OTHER and os.lower() in loose.PLATFORMS:
            platform = loose.PLATFORMS[os.lower()]
    return Device(
        id=DeviceId(id_),
        platform=platform,
        os_version=loose.word(fields, "os_version"),
        model=loose.word(fields, "device_model"),
        ids=ids,
        locale=loose.word(fields, "language"),
    )


def _revenue(fields: Fields, properties: Fields, telling: Telling) -> Money | None:
    """``revenue``, or the price of all units; in the event or, as some libraries put it, in its properties."""
    currency = (
        loose.word(fields, "currency")
        or loose.word(properties, "$currency")
        or telling.speaker.product.currency
    ).upper()
    for holder, names in ((fields, ("revenue", "price", "quantity")), (properties, ("$revenue", "$price", "$quantity"))):  # fmt: skip
        total = loose.amount(holder, names[0])
        price = loose.amount(holder, names[1])
        quantity = loose.amount(holder, names[2])
        if total is None and price is not None:
            try:
                total = loose.decimal(str(Decimal(price) * Decimal(quantity or "1")))
            except DecimalException:
                total = price
        if total is not None:
            may_be_negative = telling.speaker.is_server
            return read_money(
                total, currency, holder.path(names[0]), may_be_negative=may_be_negative
            )
    return None
