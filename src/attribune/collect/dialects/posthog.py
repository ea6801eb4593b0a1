"""PostHog: what its libraries and its HTTP API say, in our records. Pure.

Sources: PostHog's public capture API and its libraries' behaviour on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from attribune.collect.dialects import loose
from attribune.collect.dialects.allowed import with_opt_ins
from attribune.collect.dialects.happened import Words, happened
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, hold_to
from attribune.collect.fields import Fields, missing
from attribune.collect.records import Telling, corrected
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Device
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.refusal import RefusalReason

BODY_BYTES_MAX: Final = 1 << 20
EVENTS_MAX: Final = 1000
WORDS: Final = Words(
    opens=frozenset(("Application Installed", "Application Opened")),
    revenue=("revenue", "$revenue"),
    currency=("currency", "$currency"),
    transaction=("transaction_id", "order_id", "$order_id"),
    link=("url", "$current_url"),
)
FIELDS: Final = {
    "event": "event name; Application Installed and Application Opened of a device are opens",
    "uuid": "id",
    "timestamp; offset": "at",
    "sent_at": "sent_at",
    "distinct_id": "user_id, or device.id of somebody who is not identified",
    "properties.$device_id; $anon_distinct_id of $identify": "device.id",
    "properties.$user_id": "user_id",
    "properties.$os, $os_name": "device.platform",
    "properties.$os_version": "device.os_version",
    "properties.$device_model": "device.model",
    "properties.$locale": "device.locale",
    "properties.$timezone": "device.timezone",
    "properties.$app_version, $app_build": "app.version, app.build",
    "properties.$lib, $lib_version": "app.sdk",
    "properties.$ip": "ip, at a trusted door",
    "properties.revenue, $revenue": "revenue.amount",
    "properties.currency, $currency": "revenue.currency",
    "properties.transaction_id, order_id, $order_id": "transaction_id",
    "properties.url, $current_url of an open": "link_opened",
    "$set, $set_once without an event": "an event of that name, with its values as params",
    "event $opt_in": "measurement: true, before the event",
    "properties": "params",
}

_CHANGES: Final = ("$set", "$set_once")
_PATHS: Final = frozenset(("/batch", "/capture", "/e", "/i/v0/e", "/track", "/engage"))
_ASKED: Final = frozenset(("/flags", "/decide"))
_CONFIG: Final = re.compile(r"/array/([^/]{1,256})/config(\.js)?\Z")
#: Parts of the web library that pages load by themselves, without a key.
_PART: Final = re.compile(r"/static/[^/].*\.js\Z")
#: Milliseconds, up to four months.
_WHOLE: Final = re.compile(r"[0-9]{1,10}\Z", re.ASCII)
_NO_FLAGS: Final = {
    "flags": {},
    "featureFlags": {},
    "featureFlagPayloads": {},
    "errorsWhileComputingFlags": False,
}
_CONFIGURED: Final = {
    "supportedCompression": ["gzip", "gzip-js"],
    "hasFeatureFlags": False,
    "sessionRecording": False,
    "heatmaps": False,
    "surveys": False,
    "capturePerformance": False,
    "autocapture_opt_out": True,
    "siteApps": [],
    "toolbarParams": {},
    "isAuthenticated": False,
    "config": {"enable_collect_everything": True},
}


class PostHog(Plain):
    """The dialect of PostHog's libraries."""

    name = "posthog"
    speakers = "PostHog's libraries, and those that speak its capture API"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = (
        *("/batch", "/capture", "/e/", "/i/v0/e", "/track", "/engage"),
        *("/flags", "/decide", "/array/"),
    )
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:  # noqa: ARG002 - nothing is signed
        """Raises Refused when the project's key is not the door's; who asks for a part of the library says none."""
        if _is_part(letter):
            return
        config = _CONFIG.match(letter.path)
        hold_to(config[1] if config else _key(_said(letter), door), door, "api_key")

    def plain_answer(self, letter: Letter, door: Door) -> Answer | None:  # noqa: ARG002 - the same at every door
        """No flags, a configuration with nothing switched on, and parts of the library that do nothing."""
        config = _CONFIG.match(letter.path)
        if (config and config[2]) or _is_part(letter):
            body = b"(function(){})();"
            return Answer(headers=[("content-type", "application/javascript")], body=body)
        if config:
            return json_answer(_CONFIGURED)
        if letter.path.rstrip("/") in _ASKED:
            return json_answer(_NO_FLAGS | _CONFIGURED)
        return None

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each event. Raises Refused when the letter is no event and no batch."""
        if letter.path.rstrip("/") not in _PATHS:
            raise Refused(
                RefusalReason.UNKNOWN_RECORD_TYPE, "this path takes no events", status=404
            )
        body = _said(letter)
        if body[:1] == b"[":
            raws, path = loose.records_of(body, "", EVENTS_MAX), ""
        else:
            fields = Fields.of(body)
            sent_at = loose.moment(fields, "sent_at")
            telling = corrected(telling, sent_at, "sent_at") if sent_at else telling
            batch = fields.raw("batch")
            if batch is None:
                one = loose.judged(body, "", lambda raw, path: _read(raw, path, telling, door))
                return with_opt_ins([one])
            raws, path = loose.records_of(batch, "batch", EVENTS_MAX), "batch"
        found = loose.each(raws, path, lambda raw, path: _read(raw, path, telling, door))
        return with_opt_ins(found)

    def accept(self, heard: Heard) -> Answer:
        """200, as PostHog answers; what was refused is counted beside it."""
        refused = [verdict for verdict in heard.verdicts if isinstance(verdict, Refused)]
        said: dict[str, Any] = {"status": "Ok"}
        if refused:
            said |= {"refused": len(refused), "message": refused[0].message}
        return json_answer(said)

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """The shape of PostHog's errors."""
        kind = "authentication_error" if refused.status == 401 else "validation_error"
        shape = {
            "type": kind,
            "code": refused.code,
            "detail": refused.message,
            "attr": refused.param,
        }
        return json_answer(shape, refused.status)

    def sample(self, key: str, now_ms: int) -> Letter:
        """A batch of one event, as the library for Python sends it."""
        event = {
            "event": "purchase",
            "uuid": f"sample-{now_ms}",
            "distinct_id": "sample-user",
            "timestamp": now_ms,
            "properties": {"$device_id": "sample-device", "revenue": 9.99, "currency": "EUR"},
        }
        body = msgspec.json.encode({"api_key": key, "batch": [event], "sent_at": now_ms})
        return Letter("POST", "/batch/", body=body)


def _is_part(letter: Letter) -> bool:
    return letter.method == "GET" and _PART.match(letter.path) is not None


def _said(letter: Letter) -> bytes:
    """The JSON of a body, which may stand in a form."""
    body = letter.body.strip()
    if body[:1] in {b"{", b"["} or not body:
        return body
    return (loose.form_data(body) or body).strip()


def _key(body: bytes, door: Door) -> str | None:
    for name in (b"api_key", b"token"):
        if (said := loose.quick_key(body, name, door)) is not None:
            return said
    try:
        fields = Fields.of(loose.records_of(body, "", EVENTS_MAX)[0] if body[:1] == b"[" else body)
        found = loose.word(fields, "api_key") or loose.word(fields, "token")
        if found is None and (properties := fields.fields("properties")):
            found = loose.word(properties, "token")
    except (Refused, IndexError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found


def _read(raw: bytes, path: str, telling: Telling, door: Door) -> Kept:
    """One event as the open or event that it is. Raises Refused."""
    most = telling.settings.id_characters_max
    fields = Fields.checked(raw, telling.settings.json_depth_max, path)
    for key in ("api_key", "token"):
        fields.raw(key)
    name = fields.text("event", most)
    # Older libraries change a person without an event.
    change = None if name else next((one for one in _CHANGES if fields.peek(one) is not None), None)
    name = name or change
    if name is None:
        raise missing(fields.path("event"), "the event's name")
    properties = fields.fields(change or "properties") or Fields({}, fields.path("properties"))
    properties.raw("token")
    extra: dict[str, str] = {}
    at = _at_ms(fields, telling)
    id_ = loose.id_of(fields, "uuid", most) or loose.known_by("ph", door, raw.decode(), at, telling)
    lib = loose.word(properties, "$lib")
    device, user = _who(fields, properties, telling, extra, is_page=lib == "web")
    if device is None and user is None:
        raise missing(fields.path("distinct_id"), "or properties.$device_id")
    sdk = filter(None, (lib, loose.word(properties, "$lib_version")))
    frame = loose.frame(
        telling,
        record=id_,
        at=at,
        path=fields.path("timestamp"),
        device=device,
        user=user,
        stated=(loose.word(properties, "$ip"), loose.word(properties, "$raw_user_agent")),
        is_trusted=door.is_trusted,
        app_version=loose.word(properties, "$app_version"),
        app_build=loose.word(properties, "$app_build"),
        sdk="/".join(sdk) or None,
    )
    return happened(name, frame, (fields, properties), WORDS, door, telling, extra)


def _at_ms(fields: Fields, telling: Telling) -> int | None:
    """The event's time; browsers that cannot say one say how long ago it was."""
    at = loose.moment(fields, "timestamp")
    ago = loose.word(fields, "offset")
    if at is None and ago is not None and _WHOLE.match(ago):
        at = telling.received_at_ms - (telling.behind_ms or 0) - int(ago)
    return at


def _who(
    fields: Fields, properties: Fields, telling: Telling, extra: dict[str, str], *, is_page: bool
) -> tuple[Device | None, str | None]:
    """Device and user: ``distinct_id`` is the user's id once somebody is identified, and the device's before."""
    most = telling.settings.id_characters_max
    distinct = loose.first_id(fields, ("distinct_id", "$distinct_id"), most)
    distinct = distinct or loose.first_id(properties, ("distinct_id",), most)
    own = loose.first_id(properties, ("$device_id", "$anon_distinct_id"), most)
    user = loose.id_of(properties, "$user_id", most)
    is_identified = properties.raw("$is_identified")
    if own is None and is_identified == b"false":
        own, distinct = distinct, None
    if user is None and distinct != own:
        user, distinct = distinct, None
    if distinct is not None and distinct not in {own, user}:
        extra["distinct_id"] = loose.json_of(distinct)
    if own is None:
        return None, user
    os = loose.word(properties, "$os") or loose.word(properties, "$os_name")
    # What a page or a server runs on is no platform of an app's; it is kept as said.
    is_elsewhere = is_page or properties.raw("$is_server") == b"true"
    if is_elsewhere and os:
        extra["$os"] = loose.json_of(os)
    said = "web" if is_page else None if is_elsewhere else os
    device = Device(
        id=DeviceId(own),
        platform=loose.runs_on(telling, extra, {"$os": said}),
        os_version=loose.word(properties, "$os_version"),
        model=loose.word(properties, "$device_model"),
        locale=loose.word(properties, "$locale"),
        timezone=loose.word(properties, "$timezone"),
    )
    return device, user
