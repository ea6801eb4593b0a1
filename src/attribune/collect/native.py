"""The native wire: JSON of apps, sites and servers into activity and touches, a verdict for each record. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec import Raw

from attribune.collect.address import plain_address
from attribune.collect.fields import Fields, checked_json, list_of, missing, wrong_type
from attribune.collect.links import sort_words, touch_fields
from attribune.collect.records import (
    APP_TEXTS,
    Telling,
    corrected,
    device,
    device_ids,
    referrers,
    revenue,
    spoken_app,
    when,
)
from attribune.collect.refuse import Refused
from attribune.collect.usual import read_usual
from attribune.collect.verdict import Kept
from attribune.collect.words import PARAMETERS_MAX, VALUE_CHARACTERS_MAX
from attribune.model.activity import Claim, Consent, Device, Event, Evidence, Open
from attribune.model.control import Link
from attribune.model.ids import LinkId, PartnerId, RecordId, TouchId, digest, time_of, uuid7
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason
from attribune.model.touch import Touch, TouchKind, TouchOrigin

#: Partners whom one consent may name.
PARTNERS_MAX: Final = 64
#: What is said to who names nobody: an app key names its device; a server key may name one otherwise in an event.
_BY_APP: Final = "one per installation, made by the SDK"
_OTHER_WAYS: Final = "or, with a server key, touch_id, user_id or transaction_id"


def page_key(body: bytes) -> str | None:
    """The key that a batch says itself, as those of pages do. Raises Refused when the batch is no object."""
    return Fields.of(body).text("key", 256)


def read_batch(body: bytes, telling: Telling) -> tuple[list[Raw], Telling, dict[str, str]]:
    """The raw records of a batch, the circumstances with its ``sent_at``, and what else it said. Raises Refused."""
    fields = Fields.of(body)
    fields.raw("key")  # no part of what was said
    sent_at = fields.raw("sent_at")
    if sent_at is not None:
        fields.put_back("sent_at", checked_json(sent_at, 0, "sent_at"))
    telling = corrected(telling, fields.time("sent_at"), "sent_at")
    records = fields.raw("records")
    if records is None:
        raise missing("records", "a list of records")
    if records[:1] != b"[":
        raise wrong_type("records", "a list", records)
    for name in fields.names():
        raw = fields.raw(name) or b"null"
        fields.put_back(name, checked_json(raw, telling.settings.json_depth_max, name))
    found = list_of(records)
    most = telling.settings.batch_records_max
    if len(found) > most:
        raise Refused(
            RefusalReason.TOO_MANY_RECORDS, f"a batch may have at most {most} records", "records"
        )
    return found, telling, fields.rest("batch.")


class _Frame(NamedTuple):
    """What every activity record carries."""

    said: dict[str, Any]
    device: Device | None
    extra: dict[str, str]


def read_record(raw: bytes, telling: Telling, path: str = "", kind: str | None = None) -> Kept:
    """One record of the native wire. ``kind`` is what the door takes; without it the record says its ``type``.

    Raises Refused, naming the field by its path.
    """
    settings = telling.settings
    if len(raw) > settings.record_bytes_max:
        raise Refused(
            RefusalReason.TOO_LARGE,
            f"a record may have at most {settings.record_bytes_max} bytes",
            path or None,
        )
    usual = read_usual(raw, telling, kind)
    if usual is not None:
        return usual
    fields = Fields.checked(raw, settings.json_depth_max, path)
    if telling.behind_ms is None:
        telling = corrected(telling, fields.time("sent_at"), fields.path("sent_at"))
    reader = _reader(fields, kind)
    if reader in _FOR_SERVERS and not telling.speaker.is_server:
        raise Refused(
            RefusalReason.FORBIDDEN_FOR_KEY,
            "clicks, impressions and claims need a server key (sk_…)",
            fields.path("type"),
        )
    return reader(fields, telling)


def _reader(fields: Fields, kind: str | None) -> Callable[[Fields, Telling], Kept]:
    said = fields.text("type", 64)
    if said is None and kind is None:
        raise missing(fields.path("type"), f"one of {', '.join(_READERS)}")
    wanted = kind or said or ""
    reader = _READERS.get(wanted)
    if reader is None or (said is not None and said != wanted):
        path = fields.path("type")
        known = kind or ", ".join(_READERS)
        raise Refused(
            RefusalReason.UNKNOWN_RECORD_TYPE, f"{path} must be {known} here, not {said!r}", path
        )
    return reader


def _record_id(fields: Fields, telling: Telling) -> RecordId:
    found = fields.identifier("id", telling.settings.id_characters_max)
    if found is None:
        raise missing(fields.path("id"), "make one per record and keep it when you send again")
    return RecordId(found)


def _frame(fields: Fields, telling: Telling) -> _Frame:
    most = telling.settings.id_characters_max
    extra: dict[str, str] = {}
    id_ = _record_id(fields, telling)
    at = when(fields.time("at"), telling, fields.path("at"))
    app = fields.fields("app") or Fields({}, fields.path("app"))
    named = fields.identifier("app_id", most) or app.identifier("id", most)
    said: dict[str, Any] = {
        "id": id_,
        "product": telling.speaker.product.id,
        "app": spoken_app(named, telling, fields.path("app_id")),
        "sender": telling.speaker.sender,
        "received_at_ms": telling.received_at_ms,
        "occurred_at_ms": at.occurred_at_ms,
        "given_at_ms": at.given_at_ms,
        "user_id": fields.identifier("user_id", most),
        "dialect": telling.dialect,
    }
    for name, text in app.texts(APP_TEXTS, most).items():
        said[APP_TEXTS[name]] = text
    if telling.speaker.is_server:
        said["ip"], said["user_agent"] = _stated_address(fields), fields.text("user_agent")
    else:
        said["ip"], said["user_agent"] = telling.ip, telling.user_agent
    found = device(fields.fields("device"), telling, extra)
    extra |= app.rest("app.")
    return _Frame(said, found, extra)


def _stated_address(fields: Fields) -> str | None:
    text = fields.text("ip", 64)
    address = plain_address(text) if text else None
    if text and address is None:
        path = fields.path("ip")
        raise Refused(RefusalReason.MALFORMED, f"{path} must be an IPv4 or IPv6 address", path)
    return address


def _with_device(frame: _Frame, fields: Fields, how: str = _BY_APP) -> dict[str, Any]:
    if frame.device is None:
        raise missing(fields.path("device.id"), how)
    return {**frame.said, "device": frame.device}


def _open(fields: Fields, telling: Telling) -> Kept:
    frame = _frame(fields, telling)
    said = _with_device(frame, fields)
    said["referrers"] = referrers(fields, frame.extra)
    said["link_opened"] = fields.text("link_opened")
    wants = fields.flag("want_attribution") or False
    return Kept(Topic.ACTIVITY, Open(**said, extra=frame.extra | fields.rest()), wants)


def _event(fields: Fields, telling: Telling) -> Kept:
    frame = _frame(fields, telling)
    said = frame.said
    most = telling.settings.id_characters_max
    is_server = telling.speaker.is_server
    touch = _touch_id(fields, telling) if is_server else None
    transaction = fields.identifier("transaction_id", most)
    is_named = is_server and (touch or said["user_id"])
    by_order = is_server and not (frame.device or is_named) and transaction is not None
    if frame.device is not None or not (is_named or by_order):
        said = _with_device(frame, fields, _OTHER_WAYS if is_server else _BY_APP)
    name = fields.text("name", most)
    if name is None:
        raise missing(fields.path("name"), "what happened, such as purchase")
    said |= {
        "name": name,
        "revenue": revenue(
            fields,
            "revenue",
            telling.speaker.product.currency,
            may_be_negative=telling.speaker.is_server,
        ),
        "transaction_id": transaction,
        "params": fields.mapping("params"),
        # Who vouches for the click vouches for the visit.
        "touch_id": touch,
        "implies_open": touch is not None,
        "by_order": by_order,
    }
    return Kept(Topic.ACTIVITY, Event(**said, extra=frame.extra | fields.rest()))


def _touch_id(fields: Fields, telling: Telling) -> TouchId | None:
    said = fields.identifier("touch_id", telling.settings.id_characters_max)
    if said is None:
        return None
    touch = TouchId(said.lower())
    if time_of(touch) is None:
        path = fields.path("touch_id")
        raise Refused(
            RefusalReason.MALFORMED,
            f"{path} must be our id of the click, as attribune_click said it to the landing page",
            path,
        )
    return touch


def _consent(fields: Fields, telling: Telling) -> Kept:
    frame = _frame(fields, telling)
    said = _with_device(frame, fields)
    allowed: dict[str, Any] = {
        "measurement": fields.flag("measurement"),
        "sharing": fields.flag("sharing"),
        "partners": _partners(fields, telling),
        "tcf": fields.text("tcf"),
    }
    if not any(value not in (None, {}) for value in allowed.values()):
        raise missing(
            fields.path("measurement"), "or sharing, partners or tcf: what the person allows"
        )
    return Kept(Topic.ACTIVITY, Consent(**said, **allowed, extra=frame.extra | fields.rest()))


def _partners(fields: Fields, telling: Telling) -> dict[str, bool]:
    """Single partners by name, and whether each may be told."""
    said = fields.fields("partners") or Fields({})
    names = list(said.names())
    if len(names) > PARTNERS_MAX:
        path = fields.path("partners")
        message = f"{path} may name at most {PARTNERS_MAX}; send several consents"
        raise Refused(RefusalReason.TOO_LARGE, message, path)
    for name in names:
        if not name.isprintable() or not 0 < len(name) <= telling.settings.id_characters_max:
            path = fields.path("partners")
            raise Refused(
                RefusalReason.BAD_ID, f"{path}: {name[:64]!r} is no partner's name or id", path
            )
    return {name: may for name in names if (may := said.flag(name)) is not None}


def _evidence(fields: Fields, telling: Telling) -> Kept:
    frame = _frame(fields, telling)
    said = _with_device(frame, fields)
    said["referrers"] = referrers(fields, frame.extra)
    said["link_opened"] = fields.text("link_opened")
    if not said["referrers"] and said["link_opened"] is None:
        raise missing(fields.path("referrers"), "or link_opened: what the store or the link said")
    return Kept(Topic.ACTIVITY, Evidence(**said, extra=frame.extra | fields.rest()))


def _claim(fields: Fields, telling: Telling) -> Kept:
    frame = _frame(fields, telling)
    said = _with_device(frame, fields)
    most = telling.settings.id_characters_max
    said["partner"] = _partner(fields, telling)
    said["kind"] = _touch_kind(fields)
    touch_at = fields.time("touch_at")
    if touch_at is None:
        raise missing(fields.path("touch_at"), "when the claimed touch happened")
    said["touch_at_ms"] = when(touch_at, telling, fields.path("touch_at")).occurred_at_ms
    said["is_retargeting"] = fields.flag("is_retargeting") or False
    said["partner_click_id"] = fields.text("partner_click_id", VALUE_CHARACTERS_MAX)
    said |= fields.texts(_CLAIM_NAMES, most)
    return Kept(Topic.ACTIVITY, Claim(**said, extra=frame.extra | fields.rest()))


def _partner(fields: Fields, telling: Telling) -> PartnerId:
    path = fields.path("partner")
    said = fields.identifier("partner", telling.settings.id_characters_max)
    if said is None:
        raise missing(path, "the id of a registered partner")
    if telling.directory.partner(PartnerId(said)) is None:
        raise Refused(
            RefusalReason.UNKNOWN_PARTNER, f"{path} {said[:64]!r} is registered nowhere", path
        )
    return PartnerId(said)


def _touch_kind(fields: Fields) -> TouchKind:
    path = fields.path("kind")
    said = fields.text("kind", 64) or TouchKind.CLICK
    try:
        return TouchKind(said)
    except ValueError:
        raise Refused(
            RefusalReason.WRONG_TYPE, f"{path} must be click or impression", path
        ) from None


def _click(fields: Fields, telling: Telling) -> Kept:
    return _touch(TouchKind.CLICK, fields, telling)


def _impression(fields: Fields, telling: Telling) -> Kept:
    return _touch(TouchKind.IMPRESSION, fields, telling)


def _touch(kind: TouchKind, fields: Fields, telling: Telling) -> Kept:
    id_ = _record_id(fields, telling)
    link = _link(fields, telling)
    given_ms = fields.time("at")
    at = when(given_ms, telling, fields.path("at"))
    pairs, not_kept, extra = _told_of_touch(fields, telling)
    told = sort_words(pairs)
    told.not_kept.extend(not_kept)
    told.extra.update(extra)
    told_fields = touch_fields(told, link, may_steer=True)
    # The id is made of what the sender said, so that the same record sent again is the same touch.
    made_at_ms = telling.received_at_ms if given_ms is None else given_ms
    touch = Touch(
        id=uuid7(made_at_ms, digest(link.product, link.id, id_)),
        kind=kind,
        origin=TouchOrigin.S2S,
        received_at_ms=telling.received_at_ms,
        occurred_at_ms=at.occurred_at_ms,
        record_id=id_,
        **told_fields,
    )
    return Kept(Topic.TOUCHES, touch)


def _link(fields: Fields, telling: Telling) -> Link:
    path = fields.path("link")
    said = fields.identifier("link", telling.settings.id_characters_max)
    if said is None:
        raise missing(path, "the id of a tracking link")
    link = telling.directory.link(LinkId(said))
    if link is None:
        raise Refused(
            RefusalReason.UNKNOWN_LINK, f"{path} {said[:64]!r} is registered nowhere", path
        )
    if link.product != telling.speaker.product.id:
        raise Refused(
            RefusalReason.FORBIDDEN_FOR_KEY,
            f"{path} belongs to another product than this key",
            path,
        )
    if link.is_disabled:
        raise Refused(
            RefusalReason.DISABLED_LINK, f"{path} is disabled; enable it or use another", path
        )
    return link


def _told_of_touch(
    fields: Fields, telling: Telling
) -> tuple[list[tuple[str, str]], list[str], dict[str, str]]:
    """The words of a touch record as parameters, those that cannot be kept, and what is no parameter."""
    pairs: list[tuple[str, str]] = []
    extra: dict[str, str] = {}
    inner = fields.fields("device")
    if inner is not None:
        most = telling.settings.id_characters_max
        for name, key in (("os_version", "os_version"), ("model", "model"), ("locale", "lang")):
            text = inner.text(name, most)
            if text is not None:
                pairs.append((key, text))
        pairs += device_ids(inner, most).items()
        extra |= inner.rest("device.")
    cost = (
        revenue(fields, "cost", telling.speaker.product.currency)
        if _is_object(fields, "cost")
        else None
    )
    if cost is not None:
        pairs += [("cost", str(cost)), ("cost_currency", cost.currency)]
    not_kept: list[str] = []
    for name in fields.names():
        value = _parameter(fields, name)
        if value is None:
            continue
        if len(value) > VALUE_CHARACTERS_MAX or len(pairs) >= PARAMETERS_MAX:
            not_kept.append(name)
        else:
            pairs.append((name, value))
    return pairs, not_kept, extra


def _is_object(fields: Fields, name: str) -> bool:
    raw = fields.raw(name)
    if raw is not None:
        fields.put_back(name, raw)
    return raw is not None and raw[:1] == b"{"


def _parameter(fields: Fields, name: str) -> str | None:
    """A field of a touch as the text of a parameter: text as it is, anything else as JSON."""
    raw = fields.raw(name)
    if raw is None:
        return None
    if raw[:1] != b'"':
        return raw.decode()
    fields.put_back(name, raw)
    return fields.text(name, 1 << 20)


_CLAIM_NAMES: Final = (
    "campaign",
    "campaign_id",
    "adgroup",
    "adgroup_id",
    "creative",
    "creative_id",
)
_READERS: Final[dict[str, Callable[[Fields, Telling], Kept]]] = {
    "open": _open,
    "event": _event,
    "consent": _consent,
    "evidence": _evidence,
    "claim": _claim,
    "click": _click,
    "impression": _impression,
}
_FOR_SERVERS: Final = frozenset((_click, _impression, _claim))
