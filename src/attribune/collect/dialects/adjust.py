"""Adjust: what its SDKs for Android, iOS and the web say, and its calls from servers. Pure.

The paths are those of version 5 of the SDKs. A first session waits for its attribution and is answered with it; what is not
decided by then the SDK asks for again (``ask_in``). Errors are JSON too: an SDK takes an answer without it for a fault on
the way and sends again for ever. That is why ``put_off`` has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote_plus

from attribune.collect.dialects.adjust_device import adid_of, named
from attribune.collect.dialects.adjust_records import TELLING_PATHS, Message
from attribune.collect.dialects.adjust_times import write_time
from attribune.collect.dialects.forms import Form
from attribune.collect.dialects.letter import (
    Credited,
    Heard,
    Letter,
    Plain,
    Secret,
    Told,
    bearer_of,
    hold_to,
    hold_to_secret,
)
from attribune.collect.records import Telling
from attribune.collect.refuse import Refused
from attribune.collect.request import Answer, json_answer
from attribune.collect.verdict import Judged, Kept
from attribune.model.activity import Device, Evidence, Open, Platform
from attribune.model.control import Door
from attribune.model.ids import DeviceId
from attribune.model.refusal import RefusalReason

#: Receipts of stores are the longest that a client sends.
BODY_BYTES_MAX: Final = 256 * 1024
#: When a client is to ask again for what is not decided yet, and when it is to fetch what is. Milliseconds.
ASK_AGAIN_MS: Final = 2000
FETCH_MS: Final = 50
ATTRIBUTION: Final = "/attribution"
#: What Adjust calls a source that nobody was told of.
ORGANIC: Final = "Organic"
UNKNOWN: Final = "unknown"
#: Where a link's own text comes from, and goes to.
LABEL: Final = "label"

_TOKEN: Final = re.compile(r"(?:^|&)app_token=([^&]{1,256})(?=&|$)", re.ASCII)
_S2S: Final = re.compile(r"(?:^|&)s2s=1(?=&|$)", re.ASCII)
_METHODS: Final = frozenset(("GET", "POST"))

#: Adjust's fields → ours, for the reference.
FIELDS: Final = {
    "/session": "open",
    "installed_at of a session": "a device known before, where the door is told installed:before=DAY",
    "/sdk_click": "evidence",
    "/event, event_token": "event; its name is what the door maps the token to, else the token",
    "/ad_revenue, /v2/purchase, /verify": "events ad_revenue, subscription, purchase_verification",
    "/third_party_sharing, sharing; /disable_third_party_sharing": "consent.sharing",
    "partner_sharing_settings": "consent.partners: no where one kind of activity that partners are told of is; `all` is everybody",
    "granular_third_party_sharing_options": "extra",
    "/measurement_consent, measurement": "consent.measurement",
    "/gdpr_forget_device": "forget",
    "created_at_unix, created_at": "at",
    "sent_at": "sent_at",
    "web_uuid, android_uuid, primary_dedupe_token, secondary_dedupe_token, adid": "device.id, else the first other id",
    "gps_adid": "gaid",
    "google_app_set_id": "app_set_id",
    "idfa, idfv, oaid, android_id, fire_adid": "the same",
    "os_name, platform": "device.platform",
    "os_version": "device.os_version",
    "device_name": "device.model",
    "att_status": "device.att_status, in words",
    "language, country": "device.locale",
    "app_version_short, app_version": "app.version; of an iPhone app_version is app.build",
    "Client-SDK (header)": "app.sdk",
    "ip_address, X-Adjust-Forwarded-For (header), user_agent": "ip, user_agent, from a server that says the door's secret",
    "referrer, raw_referrer, attribution_token": "referrers",
    "referrer_api": "referrers.source",
    "click_time, install_begin_time, click_time_server, install_begin_time_server": "times of the referrer",
    "deeplink of source deeplink": "link_opened",
    "revenue; in millionths of an Android subscription": "revenue.amount",
    "currency": "revenue.currency",
    "transaction_id, order_id": "transaction_id",
    "deduplication_id": "id, together with the device and the event",
    "callback_params, partner_params": "params of events",
}


class Adjust(Plain):
    """The dialect of Adjust's SDKs and of its server-to-server calls."""

    name = "adjust"
    speakers = "Adjust's SDKs (version 5), and servers that call Adjust"
    body_bytes_max = BODY_BYTES_MAX
    root_paths = (*sorted(TELLING_PATHS), ATTRIBUTION)
    holds_to_secret = True
    fields = FIELDS

    def hold_to_key(self, letter: Letter, door: Door, secret: Secret) -> None:
        """Raises Refused when the app token is not the door's, or a server does not say the door's secret.

        The app token stands in every app for all to read. So a server's call, and all calls at a trusted door that has a
        secret, must say it as ``Authorization: Bearer``.
        """
        hold_to(_said_in(letter, _TOKEN), door, "app_token")
        said = bearer_of(letter)
        if said or door.is_trusted or _said_in(letter, _S2S) is not None:
            hold_to_secret(said, secret())

    def asks(self, letter: Letter, door: Door) -> DeviceId | None:  # noqa: ARG002 - the letter says it all
        """The device of ``GET /attribution``. Raises Refused when it names none."""
        if _path(letter) != ATTRIBUTION:
            return None
        return named(Form.of(letter.query, letter.body), _ID_CHARACTERS_MAX)

    def read(self, letter: Letter, telling: Telling, door: Door) -> Iterable[Judged]:
        """The one record that a letter tells."""
        path = _path(letter)
        if path not in TELLING_PATHS:
            message = "this is no path of an Adjust client; see the reference of dialects"
            raise Refused(RefusalReason.UNKNOWN_RECORD_TYPE, message, status=404)
        if letter.method not in _METHODS:
            raise Refused(RefusalReason.MALFORMED, f"{path} takes GET and POST", status=405)
        raw = letter.body or letter.query.encode("utf-8", "replace")
        try:
            return [Judged(kept, raw) for kept in Message(letter, path, telling, door).read()]
        except Refused as refused:
            return [Judged(refused.bare(), raw)]

    def accept(self, heard: Heard) -> Answer:
        """What the SDK reads: who it is, who brought it, and when to ask again."""
        if refused := heard.first_refused:
            return self.refuse(refused, heard.letter)
        path = _path(heard.letter)
        device = _device(heard)
        said: dict[str, Any] = {
            "status": "OK",
            "app_token": _said_in(heard.letter, _TOKEN),
            "adid": adid_of(device) if device else None,
            "timestamp": write_time(heard.now_ms),
            "message": _MESSAGES.get(path, "OK"),
        }
        if path == "/gdpr_forget_device" or _is_out(heard.told):
            said["tracking_state"] = "opted_out"
        else:
            said |= _about_attribution(path, heard)
        if path == "/verify":
            said |= {"verification_status": "not_verified", "code": 0}
        return json_answer({name: value for name, value in said.items() if value is not None})

    def refuse(self, refused: Refused, letter: Letter) -> Answer:  # noqa: ARG002 - one shape everywhere
        """JSON with one sentence, as Adjust answers; the SDK lets the message go then, and goes on."""
        return json_answer({"error": refused.message, "message": refused.message}, refused.status)

    def put_off(self, unavailable: Answer) -> Answer:
        """The same without JSON: only then every SDK keeps the message, and sends it again later."""
        headers = [(n, v) for n, v in unavailable.headers if n != "content-type"]
        body = b"send again later\n"
        return Answer(
            status=unavailable.status, headers=[*headers, ("content-type", "text/plain")], body=body
        )

    def sample(self, key: str, now_ms: int) -> Letter:
        """A purchase, as the SDK for Android tells one."""
        at = write_time(now_ms).replace("+", "%2B").replace(":", "%3A")
        body = (
            f"app_token={key}&environment=production&event_token=abc123&event_count=1&revenue=9.99000&currency=EUR"
            f"&order_id=sample-{now_ms}&android_uuid=00000000-1111-4222-8333-444444444444&os_name=android"
            f"&created_at={at}&sent_at={at}"
        )
        return Letter("POST", "/event", headers={"client-sdk": "android5.4.6"}, body=body.encode())


_ID_CHARACTERS_MAX: Final = 256
_MESSAGES: Final = {
    "/session": "Session tracked",
    "/event": "Event tracked",
    "/sdk_click": "Click received",
    "/sdk_info": "Information received",
    "/ad_revenue": "Ad revenue tracked",
    "/v2/purchase": "Subscription tracked",
    "/verify": "purchases are not verified here; ask the store yourself",
    "/third_party_sharing": "Choice of sharing received",
    "/disable_third_party_sharing": "Choice of sharing received",
    "/measurement_consent": "Consent received",
    "/gdpr_forget_device": "Device forgotten",
    ATTRIBUTION: "Attribution found",
}


def _path(letter: Letter) -> str:
    return letter.path.rstrip("/")


def _said_in(letter: Letter, pattern: re.Pattern[str]) -> str | None:
    """What a letter says under a name, without a look at all that it says."""
    for text in (letter.query, letter.body.decode("latin-1")):
        found = pattern.search(text)
        if found is not None:
            return unquote_plus(found[found.lastindex or 0])
    return None


def _device(heard: Heard) -> DeviceId | None:
    for verdict in heard.verdicts:
        if isinstance(verdict, Kept):
            device: Device | None = getattr(verdict.record, "device", None)
            return device.id if device else None
    if _path(heard.letter) != ATTRIBUTION:
        return None
    return named(Form.of(heard.letter.query, heard.letter.body), _ID_CHARACTERS_MAX)


def _is_out(told: Told | None) -> bool:
    """Whether a person was forgotten.

    An SDK that hears of it stops for good; so it does not hear of a no to measurement, which a person may take back.
    """
    return told is not None and told.forgotten


def _about_attribution(path: str, heard: Heard) -> dict[str, Any]:
    """What an answer says of who brought the device, and when the SDK is to ask for it."""
    told = heard.told
    if told is not None and not told.measurement:
        return {}
    if path == ATTRIBUTION:
        if told is None:
            return {"ask_in": ASK_AGAIN_MS, "message": "not decided yet"}
        return {"attribution": _attribution(told.attribution) | _deep_link(told)}
    record = next((v.record for v in reversed(heard.verdicts) if isinstance(v, Kept)), None)
    if isinstance(record, Open):
        said = {"ask_in": _ask_in(heard, record)}
        return said if told is None else said | {"attribution": _attribution(told.attribution)}
    if isinstance(record, Evidence) and told is not None:
        # What was organic may not be any more, when this is taken in.
        later = ASK_AGAIN_MS if path == "/sdk_click" and told.attribution.is_organic else None
        return {"ask_in": later, "attribution": _attribution(told.attribution)}
    return {}


def _ask_in(heard: Heard, record: Open) -> int | None:
    """When the SDK is to ask after a session; None when the answer says all."""
    if heard.told is None:
        return ASK_AGAIN_MS
    first = any(isinstance(v, Kept) and v.wants_attribution for v in heard.verdicts)
    # SDKs take a deferred deep link from the answer to that question only, and that of the web the attribution too.
    is_fetched = record.device.platform is Platform.WEB or (first and heard.told.deep_link)
    return FETCH_MS if is_fetched else None


def _deep_link(told: Told) -> dict[str, str]:
    return {"deeplink": told.deep_link} if told.deep_link else {}


def _attribution(credited: Credited) -> dict[str, str]:
    """Adjust's object: a link is its tracker, and the levels of its campaign are the tracker's name."""
    if credited.is_organic:
        return {"tracker_token": "organic", "tracker_name": ORGANIC, "network": ORGANIC}
    network = credited.partner or UNKNOWN
    levels = [network, credited.campaign, credited.adgroup, credited.creative]
    while levels[-1] is None:
        levels.pop()
    said = {
        "tracker_token": credited.link or UNKNOWN,
        "tracker_name": "::".join(level or UNKNOWN for level in levels),
        "network": network,
        "campaign": credited.campaign,
        "adgroup": credited.adgroup,
        "creative": credited.creative,
        "click_label": credited.extra.get(LABEL),
    }
    return {name: value for name, value in said.items() if value is not None}
