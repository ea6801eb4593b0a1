"""AppsFlyer's client-to-server API of televisions and consoles, in our records. Pure.

Source: AppsFlyer's HTML5 SDK for connected TV, its requests on the wire.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from attribune.collect.dialects import loose
from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret
from attribune.collect.fields import Fields, missing
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Device, Event, Open
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

BODY_BYTES_MAX: Final = 64 * 1024
IDS_MAX: Final = 16
FIELDS: Final = {
    "path: first_open, session": "an open",
    "path: inapp; event_name": "event name",
    "path: platform": "device.platform, `other` with the name kept",
    "request_id": "id",
    "timestamp": "at",
    "device_ids[].value": "device.id: the one of type custom, else the first; each by its type in extra",
    "customer_user_id": "user_id",
    "device_model": "device.model",
    "device_os_version": "device.os_version",
    "app_version": "app.version",
    "event_parameters.af_revenue": "revenue.amount",
    "event_parameters.af_currency": "revenue.currency",
    "event_parameters.af_order_id, af_transaction_id": "transaction_id",
    "event_parameters, event_custom_parameters": "params",
}

_PATH: Final = re.compile(
    r"/v1\.0/c2s/(first_open|session|inapp)/app/([A-Za-z0-9_-]{1,64})/([^/]{1,256})/?\Z"
)
#: The type of the id that the SDK makes.
_OWN: Final = "custom"
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}\Z", re.ASCII)


class AppsFlyerCtv(Plain):
    """The dialect of AppsFlyer's SDKs for televisions, which sign each body with their key."""

    name = "appsflyer-ctv"
    speakers = "AppsFlyer's SDKs for televisions and consoles (C2S 1.0)"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = ("/v1.0/c2s/",)
    signs_with_key = True
    holds_to_secret = True
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:  # noqa: ARG002 - any door's key is asked the same
        """Raises Refused when ``authorization`` is not HMAC-SHA256 of the body, as sent, with the door's key."""
        key = secret()
        said = (letter.authorization or "").strip()
        if not said:
            raise Refused(
                RefusalReason.UNKNOWN_KEY,
                "send `authorization`: HMAC-SHA256 of the body with the dev key, in hex",
                "authorization",
            )
        right = hmac.new((key or "").encode(), letter.body, sha256).hexdigest()
        if not key or not _HEX.match(said) or not hmac.compare_digest(right, said.lower()):
            raise Refused(
                RefusalReason.BAD_SIGNATURE,
                "the signature does not fit the body; sign it as sent, with the dev key of this door",
                "authorization",
            )

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """The verdict about the one open or event. Raises Refused."""
        found = _PATH.match(letter.path)
        if found is None or letter.method != "POST":
            raise Refused(
                RefusalReason.UNKNOWN_RECORD_TYPE,
                "send first_open, session or inapp with POST to /v1.0/c2s/…/app/{platform}/{app}",
                status=404,
            )
        kind, platform = found[1], found[2]
        return [
            loose.judged(letter.body, "", lambda raw, _: _read(raw, kind, platform, telling, door))
        ]

    def accept(self, heard: Heard) -> Answer:
        """202, or what is wrong, which the SDK tells the app."""
        refused = heard.first_refused
        if refused is None:
            return Answer(status=202)
        return self.refuse(refused, heard.letter)

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """400, 401 or 403 with a sentence; the SDK tells the app the text."""
        return json_answer({"error": refused.message, "field": refused.param}, refused.status)

    def sample(self, key: str, now_ms: int) -> Letter:
        """A purchase on a television, signed."""
        said = {
            "device_ids": [{"type": "tifa", "value": "11111111-2222-4333-8444-555555555555"}],
            "limit_ad_tracking": False,
            "device_os_version": "6.5",
            "app_version": "1.0",
            "request_id": f"sample-{now_ms}",
            "timestamp": now_ms,
            "event_name": "af_purchase",
            "event_parameters": {"af_revenue": 9.99, "af_currency": "EUR"},
        }
        body = msgspec.json.encode(said)
        signed = hmac.new(key.encode(), body, sha256).hexdigest()
        path = "/v1.0/c2s/inapp/app/tizen/sample-app"
        return Letter("POST", path, headers={"authorization": signed}, body=body)


def _read(raw: bytes, kind: str, platform: str, telling: Telling, door: Door) -> Kept:
    most = telling.settings.id_characters_max
    fields = Fields.checked(raw, telling.settings.json_depth_max)
    extra: dict[str, str] = {}
    device = _device(fields, platform, telling, extra)
    at = loose.moment(fields, "timestamp", 1000)
    id_ = loose.id_of(fields, "request_id", most)
    frame = loose.frame(
        telling,
        record=id_ or loose.known_by("afc", door, f"{kind} {raw.decode()}", at, telling),
        at=at,
        path="timestamp",
        device=device,
        user=loose.id_of(fields, "customer_user_id", most),
        app_version=loose.word(fields, "app_version"),
    )
    if kind != "inapp":
        extra |= {"event": loose.json_of(kind)} | fields.rest()
        return Kept(Topic.ACTIVITY, Open(**frame, extra=extra), wants_attribution=False)
    name = fields.text("event_name", most)
    if name is None:
        raise missing("event_name", "the event's name")
    said = fields.fields("event_parameters") or Fields({}, "event_parameters")
    money = loose.revenue(said, ("af_revenue",), ("af_currency",), telling)
    transaction = loose.first_id(said, ("af_order_id", "af_transaction_id"), most)
    event = Event(
        **frame,
        name=door.event(name),
        revenue=money,
        transaction_id=transaction,
        params=said.rest() | fields.mapping("event_custom_parameters"),
        implies_open=door.implies_open,
        extra=extra | fields.rest(),
    )
    return Kept(Topic.ACTIVITY, event)


def _device(fields: Fields, platform: str, telling: Telling, extra: dict[str, str]) -> Device:
    """The device by the id that the SDK made for the installation (``custom``), else by the first; each is kept by its type."""
    most = telling.settings.id_characters_max
    id_ = None
    for said in fields.each("device_ids", IDS_MAX):
        kind = loose.word(said, "type")
        value = loose.id_of(said, "value", most)
        if value is None:
            continue
        id_ = value if kind == _OWN else id_ or value
        extra[f"device_ids.{kind or 'custom'}"] = loose.json_of(value)
    if id_ is None:
        raise missing("device_ids", "a list with a type and a value each")
    return Device(
        id=DeviceId(id_),
        platform=loose.runs_on(telling, extra, {"device.platform": platform}),
        os_version=loose.word(fields, "device_os_version"),
        model=loose.word(fields, "device_model"),
    )
