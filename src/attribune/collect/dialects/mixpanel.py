"""Mixpanel: what its libraries and its HTTP API say, in our records. Pure.

Source: Mixpanel's public ingestion API (track, import, engage, groups) and its libraries' behaviour on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from attribune.collect.dialects import loose
from attribune.collect.dialects.allowed import with_opt_ins
from attribune.collect.dialects.happened import Words, happened
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, hold_to
from attribune.collect.fields import Fields, missing
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Device, Event
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

BODY_BYTES_MAX: Final = 1 << 20
EVENTS_MAX: Final = 2000
WORDS: Final = Words(
    opens=frozenset(("$ae_first_open", "$ae_session", "$app_open", "App Open")),
    revenue=("$amount", "amount", "revenue", "Revenue"),
    currency=("currency", "$currency", "Currency"),
    transaction=("transaction_id", "order_id", "Order ID", "$transaction_id"),
)
FIELDS: Final = {
    "event": "event name; $ae_first_open, $ae_session and $app_open of a device are opens",
    "properties.$insert_id": "id",
    "properties.time": "at",
    "properties.$device_id": "device.id",
    "properties.$user_id": "user_id",
    "properties.distinct_id": "user_id; with $device: before it, device.id",
    "properties.$os": "device.platform",
    "properties.$os_version": "device.os_version",
    "properties.$model": "device.model",
    "properties.$app_version_string, $app_build_number": "app.version, app.build",
    "properties.mp_lib, $lib_version": "app.sdk",
    "properties.ip, $ip": "ip, at a trusted door",
    "properties.$amount, amount, revenue": "revenue.amount",
    "properties.currency": "revenue.currency",
    "properties.transaction_id, order_id": "transaction_id",
    "properties": "params",
    "$set, $add … of a profile or a group": "an event of that name, with its values as params; a group's is nobody's",
    "$append.$transactions of a profile": "an event $transactions, or what --map event:$transactions=NAME says, with $amount as revenue",
    "event $opt_in": "measurement: true, before the event",
}

_TRACK: Final = "/track"
_IMPORT: Final = "/import"
_PROFILES: Final = ("/engage", "/groups")
_DEVICE: Final = "$device:"
#: The list of a profile to which charges are appended.
CHARGES: Final = "$transactions"
#: What a change of a profile says beside the change.
_NO_CHANGES: Final = frozenset(
    ("$time", "$ip", "$ignore_time", "$ignore_alias", "$group_key", "$group_id")
)


class Mixpanel(Plain):
    """The dialect of Mixpanel's libraries."""

    name = "mixpanel"
    speakers = "Mixpanel's libraries, and those that speak its ingestion API"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = ("/track", "/engage", "/groups", "/import")
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:  # noqa: ARG002 - nothing is signed
        """Raises Refused when the token is not the door's key.

        An import says who it is with Basic auth: by the token, as Mixpanel's older way was, or by a service account, which a
        door does not know; then the events say the token.
        """
        user = loose.basic(letter.authorization)
        if user is None or sha256(user.encode()).hexdigest() != door.sha256:
            hold_to(_token(letter, door), door, "token")

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each event, or each change of a profile. Raises Refused."""
        path = letter.path.rstrip("/")
        if not path.startswith((_TRACK, _IMPORT, *_PROFILES)):
            raise Refused(
                RefusalReason.UNKNOWN_RECORD_TYPE, "this path takes no events", status=404
            )
        raws = loose.records_of(_said(letter), "", EVENTS_MAX)
        if path.startswith(_PROFILES):
            return loose.each(raws, "", lambda raw, path: _profile(raw, path, telling, door))
        found = loose.each(raws, "", lambda raw, path: _event(raw, path, telling, door))
        return with_opt_ins(found)

    def accept(self, heard: Heard) -> Answer:
        """``1``, or with ``verbose=1`` a status in JSON; an import is told what of it failed."""
        refused = heard.first_refused
        if _is_import(heard.letter):
            return _imported(heard)
        if refused is not None:
            return _answer(heard.letter, refused.message)
        return _answer(heard.letter, None)

    def refuse(self, refused: Refused, letter: Letter) -> Answer:
        """``0``, or what is wrong in JSON."""
        if _is_import(letter):
            shape = {"code": refused.status, "error": refused.message, "status": "Bad Request"}
            return json_answer(shape, refused.status)
        answer = _answer(letter, refused.message)
        return Answer(status=refused.status, headers=answer.headers, body=answer.body)

    def sample(self, key: str, now_ms: int) -> Letter:
        """An event, as the library for Python sends it."""
        properties = {
            "token": key,
            "distinct_id": "sample-user",
            "$device_id": "sample-device",
            "$insert_id": f"sample-{now_ms}",
            "time": now_ms // 1000,
            "amount": 9.99,
            "currency": "EUR",
        }
        data = msgspec.json.encode({"event": "purchase", "properties": properties})
        body = b"data=" + _quoted(data) + b"&verbose=1&ip=0"
        return Letter("POST", "/track", body=body)


def _quoted(data: bytes) -> bytes:
    return b"".join(b"%%%02X" % byte if byte in b'%&+=#"' else b"%c" % byte for byte in data)


def _said(letter: Letter) -> bytes:
    """The events of a letter as a JSON list. Raises Refused when there are none."""
    body = letter.body.strip()
    if body[:1] not in {b"[", b"{"}:
        found = loose.form_data(body) if body else None
        body = (found or loose.form_data(letter.query.encode()) or b"").strip()
    if not body:
        raise missing("data", "an event in JSON, plain or in base64")
    if body[:1] == b"[":
        return body
    # One event, or several each in its own line, as an import may send them.
    lines = [line for line in body.split(b"\n") if line.strip()]
    return b"[" + (b",".join(lines) if letter.path.startswith(_IMPORT) else body) + b"]"


def _token(letter: Letter, door: Door) -> str | None:
    """The token of the first event, which all of a letter share."""
    try:
        if (quick := loose.quick_key(_said(letter), b"token", door)) is not None:
            return quick
        fields = Fields.of(loose.records_of(_said(letter), "", EVENTS_MAX)[0])
        properties = fields.fields("properties")
        found = loose.word(properties, "token") if properties else None
        return found or loose.word(fields, "$token") or loose.word(fields, "token")
    except (Refused, IndexError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _event(raw: bytes, path: str, telling: Telling, door: Door) -> Kept:
    """One event as the open or event that it is. Raises Refused."""
    most = telling.settings.id_characters_max
    fields = Fields.checked(raw, telling.settings.json_depth_max, path)
    name = fields.text("event", most)
    if name is None:
        raise missing(fields.path("event"), "the event's name")
    properties = fields.fields("properties") or Fields({}, fields.path("properties"))
    properties.raw("token")
    extra: dict[str, str] = {}
    at = loose.moment(properties, "time")
    id_ = loose.id_of(properties, "$insert_id", most)
    id_ = id_ or loose.known_by("mp", door, raw.decode(), at, telling)
    device, user = _who(properties, telling, extra)
    if device is None and user is None:
        raise missing(properties.path("distinct_id"), "or $device_id")
    sdk = filter(None, (loose.word(properties, "mp_lib"), loose.word(properties, "$lib_version")))
    frame = loose.frame(
        telling,
        record=id_,
        at=at,
        path=properties.path("time"),
        device=device,
        user=user,
        stated=(loose.word(properties, "ip") or loose.word(properties, "$ip"), None),
        is_trusted=door.is_trusted,
        app_version=loose.word(properties, "$app_version_string"),
        app_build=loose.word(properties, "$app_build_number"),
        sdk="/".join(sdk) or None,
    )
    return happened(name, frame, (fields, properties), WORDS, door, telling, extra)


def _who(
    properties: Fields, telling: Telling, extra: dict[str, str]
) -> tuple[Device | None, str | None]:
    """Device and user. Mixpanel marks a distinct id that is only a device's with ``$device:``."""
    most = telling.settings.id_characters_max
    distinct = loose.id_of(properties, "distinct_id", most)
    id_ = loose.id_of(properties, "$device_id", most)
    user = loose.id_of(properties, "$user_id", most)
    if distinct and _is_device(distinct):
        id_, distinct = id_ or distinct.removeprefix(_DEVICE), None
    if user is None and distinct != id_:
        user, distinct = distinct, None
    if distinct and distinct not in {id_, user}:
        extra["distinct_id"] = loose.json_of(distinct)
    if id_ is None:
        return None, user
    os = loose.word(properties, "$os")
    device = Device(
        id=DeviceId(id_),
        platform=loose.runs_on(telling, extra, {"$os": os}),
        os_version=loose.word(properties, "$os_version"),
        model=loose.word(properties, "$model"),
    )
    return device, user


def _profile(raw: bytes, path: str, telling: Telling, door: Door) -> Kept:
    """A change of a profile or a group, as an event of the change's name. Raises Refused."""
    most = telling.settings.id_characters_max
    fields = Fields.checked(raw, telling.settings.json_depth_max, path)
    fields.raw("$token")
    who = loose.id_of(fields, "$distinct_id", most)
    # A group is nobody: what is said of it is kept, and is no person's.
    if who is None and fields.peek("$group_id") is None:
        raise missing(fields.path("$distinct_id"), "or $group_id")
    changes = [name for name in fields.names() if name.startswith("$") and name[1:].islower()]
    name = next((change for change in changes if change not in _NO_CHANGES), None)
    if name is None:
        raise missing(fields.path("$set"), "or another change of the profile")
    values = fields.raw(name) or b"{}"
    said = Fields.of(values, fields.path(name)) if values[:1] == b"{" else None
    charge = said.fields(CHARGES) if said is not None and name == "$append" else None
    time = (loose.moment(charge, "$time") if charge else None) or loose.moment(fields, "$time")
    extra: dict[str, str] = {}
    stated = (loose.word(fields, "$ip"), None)
    frame = loose.frame(
        telling,
        record=loose.known_by("mpp", door, raw.decode(), time, telling),
        at=time,
        path=fields.path("$time"),
        device=_device_named(who, telling),
        user=None if _is_device(who) else who,
        stated=stated,
        is_trusted=door.is_trusted,
    )
    if charge is not None:
        extra |= said.rest(f"{name}.") if said is not None else {}
        return happened(CHARGES, frame, (fields, charge), WORDS, door, telling, extra)
    params = said.rest() if said is not None else {name: values.decode()}
    return Kept(
        Topic.ACTIVITY, Event(**frame, name=door.event(name), params=params, extra=fields.rest())
    )


def _is_device(who: str | None) -> bool:
    """Whether a distinct id is only a device's."""
    return who is not None and who.startswith(_DEVICE)


def _device_named(who: str | None, telling: Telling) -> Device | None:
    """The device that a distinct id names, if it names one."""
    if who is None or not _is_device(who):
        return None
    return Device(id=DeviceId(who.removeprefix(_DEVICE)), platform=telling.speaker.app.platform)


def _is_import(letter: Letter) -> bool:
    """Whether a letter is of the newer import, whose body is JSON; the older one is answered as events are."""
    return letter.path.startswith(_IMPORT) and letter.body[:1] in {b"[", b"{"}


def _answer(letter: Letter, error: str | None) -> Answer:
    if b"verbose=1" in letter.query.encode() or b"verbose=1" in letter.body:
        return json_answer({"status": int(error is None), "error": error})
    return Answer(headers=[("content-type", "text/plain")], body=b"1" if error is None else b"0")


def _imported(heard: Heard) -> Answer:
    failed = [
        {"index": index, "field": one.param, "message": one.message}
        for index, one in enumerate(heard.own)
        if isinstance(one, Refused)
    ]
    count = len(heard.own) - len(failed)
    if not failed:
        return json_answer({"code": 200, "num_records_imported": count, "status": "OK"})
    error = "some data points in the request failed validation"
    said = {"code": 400, "error": error, "failed_records": failed, "num_records_imported": count}
    return json_answer(said | {"status": "Bad Request"}, 400)
