"""Snowplow's tracker protocol, in our records. Pure.

Sources: Snowplow's public tracker protocol and Iglu schemas, and its trackers' behaviour on the wire.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

import msgspec

from attribune.collect.dialects import loose, snowplow_consent
from attribune.collect.dialects.allowed import consent_with
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, hold_to
from attribune.collect.fields import Fields, missing
from attribune.collect.records import Telling, corrected, read_money
from attribune.collect.redirect import PIXEL
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Device, Event, Open, Referrer, ReferrerSource
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.money import Money
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

BODY_BYTES_MAX: Final = 1 << 20
EVENTS_MAX: Final = 1000
#: Largest self-describing JSON of an event.
JSON_BYTES_MAX: Final = 256 * 1024
#: The ecommerce event of Snowplow's plugins, and the only type of it that books what stands beside it.
ECOMMERCE: Final = "snowplow_ecommerce_action"
BOUGHT: Final = "transaction"
#: Self-describing events that say that the app was started.
OPENS: Final = frozenset(("application_install", "application_foreground", "deep_link_received"))
FIELDS: Final = {
    "e": "pv page_view, pp page_ping, se the action, ue the schema's name, tr transaction, ti transaction_item",
    "ue_pr, ue_px": "params; the schema is extra ue.schema",
    "ue_pr, ue_px: application_install, application_foreground, deep_link_received": "an open of a device",
    "eid": "id",
    "ttm, dtm": "at",
    "stm": "sent_at",
    "uid": "user_id",
    "client_session.userId; duid; nuid, tnuid": "device.id",
    "mobile_context.osType; p": "device.platform",
    "mobile_context.osVersion, deviceModel": "device.os_version, device.model",
    "mobile_context.appleIdfa, appleIdfv, androidIdfa, appSetId": "idfa, idfv, gaid, app_set_id",
    "lang, tz": "device.locale, device.timezone",
    "application.version, build": "app.version, app.build",
    "tv": "app.sdk",
    "ip, ua": "ip, user_agent, at a trusted door",
    "referrer_details": "referrers",
    "deep_link_received.url": "link_opened",
    "tr_tt; transaction.revenue; revenue of the event": "revenue.amount",
    "tr_cu; transaction.currency; currency of the event": "revenue.currency",
    "tr_id; transaction.transaction_id; transaction_id of the event": "transaction_id",
    "url, page, refr, se_…, pp_…, tr_…, ti_…, data of the event": "params",
    **snowplow_consent.FIELDS,
    "contexts": "extra, as contexts.NAME; several of a name as a list",
}

_POST: Final = "/com.snowplowanalytics.snowplow/tp2"
_GET: Final = "/i"
#: As trackers may be told to post instead (``postPath``): a vendor and a version.
_OWN_POST: Final = re.compile(r"/[A-Za-z0-9._-]{1,128}/[A-Za-z0-9._-]{1,64}\Z")
_SCHEMA: Final = re.compile(r"iglu:[^/]{1,128}/([A-Za-z0-9_.-]{1,128})/")
_NAMES: Final = {
    "pv": "page_view",
    "pp": "page_ping",
    "tr": "transaction",
    "ti": "transaction_item",
}
_IDS: Final = {
    "appleIdfa": "idfa",
    "appleIdfv": "idfv",
    "androidIdfa": "gaid",
    "appSetId": "app_set_id",
}
_PARAMS: Final = ("url", "page", "refr")
_PARAM_PREFIXES: Final = ("se_", "pp_", "tr_", "ti_")
#: Seconds of Play's referrer, by our names.
_REFERRER_TIMES: Final = {
    "referrerClickTimestamp": "click_at_ms",
    "installBeginTimestamp": "install_begin_at_ms",
    "referrerClickTimestampServer": "click_server_at_ms",
    "installBeginTimestampServer": "install_begin_server_at_ms",
}
#: Fractions are read and kept by their digits, which a binary fraction does not always have.
_json: Final = msgspec.json.Decoder(float_hook=Decimal)
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class Snowplow(Plain):
    """The dialect of Snowplow's trackers."""

    name = "snowplow"
    speakers = "Snowplow's trackers"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = (_POST, _GET)
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:  # noqa: ARG002 - nothing is signed
        """Raises Refused when the application id is not the door's key."""
        try:
            key = loose.quick_key(letter.body, b"aid", door) or loose.word(
                Fields.of(_events(letter)[0]), "aid"
            )
        except (Refused, IndexError, msgspec.MsgspecError, UnicodeDecodeError):
            key = None
        hold_to(key, door, "aid")

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each event. Raises Refused."""
        return (
            judged
            for index, raw in enumerate(_events(letter))
            for judged in _judge(bytes(raw), f"data[{index}]", telling, door)
        )

    def accept(self, heard: Heard) -> Answer:
        """200, or the pixel that a page asked for, whatever was refused: a tracker would send the same for ever."""
        if heard.letter.method == "GET":
            return Answer(
                headers=[("content-type", "image/gif"), ("cache-control", "no-store")], body=PIXEL
            )
        return Answer(headers=[("content-type", "text/plain")], body=b"ok")

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """A sentence and the field at fault, in JSON."""
        return json_answer({"error": refused.message, "field": refused.param}, refused.status)

    def sample(self, key: str, now_ms: int) -> Letter:
        """A transaction, as the tracker for Python sends it."""
        event = {
            "e": "tr",
            "eid": f"sample-{now_ms}",
            "aid": key,
            "p": "mob",
            "tv": "py-1.1.0",
            "uid": "sample-user",
            "duid": "sample-device",
            "dtm": str(now_ms),
            "stm": str(now_ms),
            "tr_id": f"sample-{now_ms}",
            "tr_tt": "9.99",
            "tr_cu": "EUR",
        }
        schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
        body = msgspec.json.encode({"schema": schema, "data": [event]})
        return Letter("POST", _POST, body=body)


def _events(letter: Letter) -> list[msgspec.Raw]:
    """The events of a letter, as JSON objects. Raises Refused."""
    path = letter.path.rstrip("/")
    if letter.method == "GET" and path == _GET:
        said = loose.pairs(letter.query)
        return [msgspec.Raw(msgspec.json.encode(said))] if said else []
    if letter.method != "POST" or not (path == _POST or _OWN_POST.match(path)):
        raise Refused(RefusalReason.UNKNOWN_RECORD_TYPE, "this path takes no events", status=404)
    data = Fields.of(letter.body).raw("data")
    if data is None:
        raise missing("data", "a list of events")
    return loose.records_of(data, "data", EVENTS_MAX)


def _judge(raw: bytes, path: str, telling: Telling, door: Door) -> Iterable[Judged]:
    """An event, behind the consent that it tells."""
    try:
        kept, choices = _Read(raw, path, telling, door).record()
    except Refused as refused:
        return [Judged(refused.bare(), raw)]
    consent = consent_with(kept, choices)
    return [Judged(one, raw) for one in (consent, kept) if one is not None]


class _Entity(NamedTuple):
    """A self-describing JSON: the name of its schema, its data, and the whole of its schema."""

    name: str
    data: dict[str, Any]
    schema: str


class _Read:
    """One event while it is read."""

    def __init__(self, raw: bytes, path: str, telling: Telling, door: Door) -> None:
        """Raises Refused when it is no event."""
        self._fields = fields = Fields.checked(raw, telling.settings.json_depth_max, path)
        self._door, self._raw = door, raw
        fields.raw("aid")
        sent = loose.moment(fields, "stm", 1000)
        self._telling = telling if sent is None else corrected(telling, sent, fields.path("stm"))
        self._most = telling.settings.id_characters_max
        self._extra: dict[str, str] = {}
        self._several: dict[str, str] = {}
        self._documents: list[Any] = []
        self._entities = self._contexts()

    def record(self) -> tuple[Kept, dict[str, bool]]:
        """The open or event that it is, and what it says that the person allows. Raises Refused."""
        fields, most = self._fields, self._most
        kind = loose.word(fields, "e")
        own = self._own() if kind == "ue" else None
        if own is not None:
            # Vendors have names in common, and a name has versions.
            self._extra["ue.schema"] = _json_of(own.schema)
        name = own.name if own else _NAMES.get(kind or "") or self._action(kind)
        user = loose.id_of(fields, "uid", most)
        device = self._device()
        if device is None and user is None:
            raise missing(fields.path("duid"), "or uid, or a client_session")
        frame = self._frame(device, user)
        if device is not None and name in OPENS:
            return Kept(Topic.ACTIVITY, self._open(frame, name, own.data if own else {})), {}
        money, transaction = self._money(own.name if own else None, own.data if own else {})
        params = {key: _json_of(value) for key, value in (own.data if own else {}).items()}
        for field in fields.names():
            if field in _PARAMS or field.startswith(_PARAM_PREFIXES):
                params[field] = (fields.raw(field) or b"null").decode()
        event = Event(
            **frame,
            name=self._door.event(name),
            revenue=money,
            transaction_id=transaction,
            params=params,
            implies_open=self._door.implies_open,
            extra=self._rest(),
        )
        choices = snowplow_consent.choices_of(own.schema, own.data, self._documents, self._door) if own else {}  # fmt: skip
        return Kept(Topic.ACTIVITY, event), choices

    def _action(self, kind: str | None) -> str:
        if kind != "se":
            at = self._fields.path("e")
            raise Refused(
                RefusalReason.UNKNOWN_RECORD_TYPE, f"{at} must be pv, pp, se, ue, tr or ti", at
            )
        raw = self._fields.raw("se_ac")
        if raw is not None:
            self._fields.put_back("se_ac", raw)
        name = self._fields.text("se_ac", self._most)
        if name is None:
            raise missing(self._fields.path("se_ac"), "the action of a structured event")
        self._fields.put_back("se_ac", raw or b"null")
        return name

    def _frame(self, device: Device | None, user: str | None) -> dict[str, Any]:
        fields = self._fields
        at = loose.moment(fields, "ttm", 1000) or loose.moment(fields, "dtm", 1000)
        id_ = loose.id_of(fields, "eid", self._most)
        app = self._entities.get("application", {})
        is_trusted = self._door.is_trusted
        return loose.frame(
            self._telling,
            record=id_ or loose.known_by("sp", self._door, self._raw.decode(), at, self._telling),
            at=at,
            path=fields.path("dtm"),
            device=device,
            user=user,
            stated=(loose.word(fields, "ip"), loose.word(fields, "ua")) if is_trusted else None,
            is_trusted=is_trusted,
            app_version=_text(app.get("version")),
            app_build=_text(app.get("build")),
            sdk=loose.word(fields, "tv"),
        )

    def _device(self) -> Device | None:
        """The installation by a mobile tracker's session, else by what a page's or a server's tracker calls it."""
        fields, most = self._fields, self._most
        session = self._entities.get("client_session", {})
        mobile = self._entities.get("mobile_context", {})
        id_ = Fields({"userId": session.get("userId")}).identifier("userId", most) if isinstance(session.get("userId"), str) else None  # fmt: skip
        id_ = id_ or loose.first_id(fields, ("duid", "nuid", "tnuid"), most)
        stated = loose.word(fields, "p")
        if id_ is None:
            return None
        ids = {
            ours: value
            for theirs, ours in _IDS.items()
            if isinstance(mobile.get(theirs), str)
            and (value := Fields({theirs: mobile[theirs]}).identifier(theirs, most))
        }
        # `mob` and `app` say no more than that it is an app: its own platform says which.
        said = {"mobile_context.osType": _text(mobile.get("osType"))}
        if stated not in {"mob", "app"}:
            said["p"] = stated
        return Device(
            id=DeviceId(id_),
            platform=loose.runs_on(self._telling, self._extra, said),
            os_version=_text(mobile.get("osVersion")),
            model=_text(mobile.get("deviceModel")),
            ids=ids,
            locale=loose.word(fields, "lang"),
            timezone=loose.word(fields, "tz"),
        )

    def _open(self, frame: dict[str, Any], name: str, data: dict[str, Any]) -> Open:
        link = _text(data.get("url")) if name == "deep_link_received" else None
        if link is not None:
            del data["url"]
        play = self._entities.get("referrer_details", {})
        referrers: tuple[Referrer, ...] = ()
        if value := _text(play.get("installReferrer")):
            times = {
                ours: int(said) * 1000
                for theirs, ours in _REFERRER_TIMES.items()
                if isinstance(said := play.get(theirs), int) and 0 < said < 10**11
            }
            referrers = (Referrer(source=ReferrerSource.PLAY, value=value, **times),)
        extra = {"event": _json_of(name)} | {k: _json_of(v) for k, v in data.items()}
        return Open(**frame, referrers=referrers, link_opened=link, extra=extra | self._rest())

    def _money(self, own: str | None, data: dict[str, Any]) -> tuple[Money | None, str | None]:
        """Revenue and transaction: of a transaction's fields, of its entity, or of a self-describing event."""
        fields = self._fields
        bought = self._entities.get("transaction", {})
        if data.get("type", BOUGHT) != BOUGHT and own == ECOMMERCE:
            # What stands beside a payment that failed, or a step of it, was not bought.
            bought = {"transaction_id": bought.get("transaction_id")}
        amount = self._peek("tr_tt")
        currency, transaction = self._peek("tr_cu"), self._peek("tr_id")
        for said, name in ((bought, "transaction"), (data, "ue")):
            if amount is None and isinstance(said.get("revenue"), int | Decimal | str):
                amount, path = str(said["revenue"]), name
                currency = _text(said.get("currency"))
                transaction = _text(said.get("transaction_id")) or transaction
        transaction = (
            transaction
            or _text(bought.get("transaction_id"))
            or _text(data.get("transaction_id"))
            or _text(data.get("order_id"))
        )
        if transaction is not None:
            transaction = Fields({"tr_id": transaction}).identifier("tr_id", self._most)
        if not amount:
            return None, transaction
        code = (currency or self._telling.speaker.product.currency).upper()
        may_be_negative = self._telling.speaker.is_server
        path = fields.path("tr_tt")
        return read_money(
            loose.decimal(amount), code, path, may_be_negative=may_be_negative
        ), transaction

    def _peek(self, name: str) -> str | None:
        """A field that stays among the parameters."""
        value = self._fields.peek(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return bytes(self._fields.raws()[name]).decode()
        return value if isinstance(value, str) and value.isprintable() else None

    def _own(self) -> _Entity:
        """The self-describing event. Raises Refused."""
        said = self._described("ue_pr", "ue_px")
        found = _entity(said.get("data")) if said else None
        if found is None:
            raise missing(self._fields.path("ue_pr"), "or ue_px, a self-describing event")
        return found

    def _contexts(self) -> dict[str, dict[str, Any]]:
        """The entities that stand beside the event, by the names of their schemas; the first of each. The others are kept."""
        said = self._described("co", "cx")
        found: dict[str, dict[str, Any]] = {}
        all_: dict[str, list[Any]] = {}
        for each in (said or {}).get("data") or ():
            entity = _entity(each)
            if entity is None:
                all_.setdefault("other", []).append(each)
            else:
                found.setdefault(entity.name, entity.data)
                all_.setdefault(entity.name, []).append(entity.data)
        self._documents = all_.get(snowplow_consent.DOCUMENT, [])
        for name, several in all_.items():
            if name not in found or len(several) > 1:
                self._several[f"contexts.{name}"] = _json_of(several)
        return found

    def _described(self, plain: str, packed: str) -> dict[str, Any] | None:
        """A JSON that stands in a field as text, or in base64. Raises Refused."""
        fields = self._fields
        text = fields.text(plain, JSON_BYTES_MAX)
        try:
            raw = (
                text.encode()
                if text is not None
                else _unpacked(fields.text(packed, JSON_BYTES_MAX))
            )
            said = _json.decode(raw) if raw else None
        except (ValueError, InvalidOperation, RecursionError, msgspec.MsgspecError):
            said = ()
        if said is None or (isinstance(said, dict) and isinstance(said.get("data"), dict | list)):
            return said
        at = fields.path(plain)
        raise Refused(RefusalReason.MALFORMED, f"{at} is no self-describing JSON", at)

    def _rest(self) -> dict[str, str]:
        kept = {f"contexts.{name}": _json_of(data) for name, data in self._entities.items()}
        return self._extra | kept | self._several | self._fields.rest()


def _entity(said: Any) -> _Entity | None:
    if not isinstance(said, dict) or not isinstance(said.get("data"), dict):
        return None
    schema = str(said.get("schema"))
    found = _SCHEMA.match(schema)
    return _Entity(found[1], dict(said["data"]), schema) if found else None


def _unpacked(text: str | None) -> bytes | None:
    if text is None:
        return None
    return urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))


def _json_of(value: object) -> str:
    """A value as the JSON text that ``extra`` and ``params`` hold, each number by its digits."""
    return _encoder.encode(value).decode()


def _text(value: Any) -> str | None:
    """A text or a number as a text, if it says something printable."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if text and text.isprintable() and len(text) <= 4096 else None
