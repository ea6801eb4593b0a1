"""Doors for other measurement partners: their callbacks, postbacks and webhooks, as foreign conversions. Pure.

The sender cannot be changed, so a door takes its key wherever an address can carry one (``?key=``, the last part of the path),
in ``X-Attribune-Key`` or as a Bearer; a door with a secret also wants ``X-Attribune-Signature``, which is HMAC-SHA256 in hex over
the body, or over the query as sent where there is no body; then a body's rows are all that counts. None of them tells again what was refused, so a row that cannot be
understood is kept, and answered 200.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from attribune.collect.dialects.letter import Heard, Letter, Plain, Secret, bearer_of, hold_to
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused, error_shape
from attribune.collect.request import Answer, json_answer
from attribune.collect.vendors import READERS, Hearing, read_row
from attribune.collect.vendors.rows import FIELDS_MAX, flat
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Sender, Vendor
from attribune.model.control import Door
from attribune.model.position import Topic
from attribune.model.refusal import RefusalReason

#: Largest message; Adjust's and AppsFlyer's stay below 1 MB.
BODY_BYTES_MAX: Final = 1 << 20
#: Rows of one message. Webhooks tell one; some can be made to tell several.
ROWS_MAX: Final = 1000
KEY: Final = "key"
KEY_HEADER: Final = "x-attribune-key"
SIGNATURE_HEADER: Final = "x-attribune-signature"


class VendorDoor(Plain):
    """The door of one vendor."""

    body_bytes_max = BODY_BYTES_MAX
    holds_to_secret = True

    def __init__(
        self, name: str, vendor: Vendor, speakers: str, method: str, sample: Mapping[str, str]
    ) -> None:
        """Name the dialect, whose it is, and what a message of it looks like; ``method`` is the usual one."""
        self.name = name
        self.speakers = speakers
        self.fields = READERS[vendor].fields
        self._vendor = vendor
        self._method = method
        self._sample = sample

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:
        """Raises Refused when no key fits, or when the door has a secret and the message is not signed with it."""
        in_query = next((value for name, value in _pairs(letter.query) if name == KEY), None)
        in_path = letter.path.strip("/").rpartition("/")[2] or None
        key = letter.headers.get(KEY_HEADER) or bearer_of(letter) or in_query or in_path
        hold_to(None if key is None else str(key), door, KEY)
        signs_with = secret()
        if signs_with is not None:
            _check_signature(letter, signs_with)

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """A verdict for each row of a message. Raises Refused when it is none."""
        hearing = _hearing(telling, door)
        is_signed = door.sealed_secret is not None
        for row in self._rows(letter, is_signed=is_signed):
            verdict = read_row(self._vendor, row, hearing)
            kept = verdict if isinstance(verdict, Refused) else Kept(Topic.ACTIVITY, verdict)
            yield Judged(kept, msgspec.json.encode(row))

    def accept(self, heard: Heard) -> Answer:
        """200, and what became of the rows. Kochava can be told to look for ``success``."""
        refused = [one for one in heard.verdicts if isinstance(one, Refused)]
        said: dict[str, Any] = {
            "message": "success",
            "accepted": len(heard.verdicts) - len(refused),
            "refused": len(refused),
        }
        if refused:
            said["reasons"] = [
                {"reason": str(one.reason), "param": one.param, "message": one.message}
                for one in refused[:10]
            ]
        return json_answer(said)

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """The usual error: a wrong key or a message that is none must be mended by a person."""
        shape = error_shape(refused.status, refused.code, refused.message, refused.param)
        return json_answer(shape, refused.status)

    def sample(self, key: str, now_ms: int) -> Letter:
        """A message as the vendor sends one, signed as by a proxy whose secret is the key."""
        said = {name: value.replace("NOW", str(now_ms)) for name, value in self._sample.items()}
        query, body = urlencode({KEY: key}), b""
        if self._method == "GET":
            query = f"{query}&{urlencode(said)}"
        else:
            body = msgspec.json.encode(said)
        signature = hmac.new(key.encode(), body or query.encode(), sha256).hexdigest()
        return Letter(self._method, "/", query, {SIGNATURE_HEADER: signature}, body)

    def _rows(self, letter: Letter, *, is_signed: bool) -> list[dict[str, str]]:
        """The rows of a message: of its query, its form or its JSON.

        What the query says holds for each row of a body, but where the body is signed, since then the query is not.
        """
        in_query = {name: value for name, value in reversed(_pairs(letter.query)) if name != KEY}
        if is_signed and letter.body:
            in_query = {}
        body = letter.body.strip()
        if not body:
            return [in_query]
        if body[:1] not in {b"{", b"["}:
            form = reversed(_pairs(body.decode("utf-8", "replace")))
            return [in_query | dict(form)]
        said = _json(body)
        if len(said) > ROWS_MAX:
            message = f"a message may hold at most {ROWS_MAX} rows"
            raise Refused(RefusalReason.TOO_MANY_RECORDS, message)
        return [in_query | flat(row) for row in said]


def _json(body: bytes) -> list[dict[str, Any]]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(RefusalReason.MALFORMED, "the body is not JSON") from None
    rows = said if isinstance(said, list) else [said]
    if not all(isinstance(row, dict) for row in rows):
        raise Refused(RefusalReason.MALFORMED, "the body must be a JSON object, or a list of them")
    return rows


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=False, max_num_fields=FIELDS_MAX)
    except ValueError:
        message = f"a query may have at most {FIELDS_MAX} parameters"
        raise Refused(RefusalReason.TOO_LARGE, message) from None


def _hearing(telling: Telling, door: Door) -> Hearing:
    speaker = telling.speaker
    return Hearing(
        app=speaker.app,
        product=speaker.product,
        directory=telling.directory,
        sender=Sender.SERVER,  # whose key this is keeps it on a server
        received_at_ms=telling.received_at_ms,
        future_max_ms=telling.settings.future_max_ms,
        maps={name.lower(): value for name, value in door.maps.items()},
        dialect=telling.dialect,
    )


def _check_signature(letter: Letter, secret: str) -> None:
    signed = letter.body or letter.query.encode()
    right = hmac.new(secret.encode(), signed, sha256).hexdigest()
    said = str(letter.headers.get(SIGNATURE_HEADER) or "").lower().removeprefix("sha256=")
    if not hmac.compare_digest(right.encode(), said.encode()):
        message = (
            "this door has a secret: send X-Attribune-Signature, HMAC-SHA256 in hex of the body "
            "(of the query when there is none)"
        )
        raise Refused(RefusalReason.BAD_SIGNATURE, message, "X-Attribune-Signature")


_GAID: Final = "11111111-2222-4333-8444-555555555555"
#: The doors of the vendors.
VENDOR_DOORS: Final = (
    VendorDoor(
        "adjust-callback",
        Vendor.ADJUST,
        "Adjust's callbacks",
        "GET",
        {
            "activity_kind": "install",
            "created_at": "1772366400",
            "adid": "ad0123456789abcdef0123456789abcd",
            "gps_adid": _GAID,
            "network_name": "Acme",
            "campaign_name": "Spring",
            "is_organic": "0",
            "click_id": "c-1",
        },
    ),
    VendorDoor(
        "appsflyer-push",
        Vendor.APPSFLYER,
        "AppsFlyer's Push API, and its postbacks to partners",
        "POST",
        {
            "event_type": "install",
            "event_name": "install",
            "event_time": "2026-03-01 12:00:00.000",
            "appsflyer_id": "1772366400000-1234567",
            "advertising_id": _GAID,
            "media_source": "acme_int",
            "campaign": "Spring",
            "attributed_touch_type": "click",
        },
    ),
    VendorDoor(
        "branch-webhook",
        Vendor.BRANCH,
        "Branch's webhooks",
        "POST",
        {
            "name": "INSTALL",
            "timestamp": "1772366400000",
            "attributed": "true",
            "user_data.aaid": _GAID,
            "last_attributed_touch_data.~advertising_partner_name": "Acme",
            "last_attributed_touch_data.~click_id": "c-1",
        },
    ),
    VendorDoor(
        "kochava-postback",
        Vendor.KOCHAVA,
        "Kochava's custom postbacks",
        "GET",
        {
            "event_name": "_install",
            "date": "1772366400",
            "kochava_device_id": "KA0123",
            "adid": _GAID,
            "network_name": "Acme",
            "click_id": "c-1",
        },
    ),
    VendorDoor(
        "singular-postback",
        Vendor.SINGULAR,
        "Singular's postbacks",
        "GET",
        {"utc": "1772366400", "aifa": _GAID, "partner": "Acme", "cl": "c-1", "pcn": "Spring"},
    ),
    VendorDoor(
        "tenjin-callback",
        Vendor.TENJIN,
        "Tenjin's callbacks",
        "GET",
        {
            "event": "install",
            "created_at": "1772366400",
            "advertising_id": _GAID,
            "ad_network": "Acme",
            "click_id": "c-1",
        },
    ),
    VendorDoor(
        "segment-webhook",
        Vendor.SEGMENT,
        "Segment's `Install Attributed`, sent on by a webhook",
        "POST",
        {
            "type": "track",
            "event": "Install Attributed",
            "timestamp": "2026-03-01T12:00:00Z",
            "context.device.id": "d-1",
            "context.device.advertisingId": _GAID,
            "context.device.type": "android",
            "properties.provider": "Kochava",
            "properties.campaign.source": "Acme",
            "properties.campaign.name": "Spring",
        },
    ),
    VendorDoor(
        "impact-action",
        Vendor.IMPACT,
        "impact.com's event notifications",
        "GET",
        {
            "ActionId": "1000.2000.3000",
            "ActionTrackerName": "purchase",
            "Status": "PENDING",
            "EventDate": "2026-03-01T12:00:00Z",
            "Amount": "12.50",
            "Currency": "EUR",
            "ClickId": "c-1",
            "Oid": "order-1",
            "MediaPartnerName": "Acme",
        },
    ),
)
